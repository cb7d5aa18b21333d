"""What became of the requests to publish that this process was sent."""

import time
from collections.abc import Callable
from typing import Final

import structlog

from realtime.fleet.key_shortening import without_whole_keys
from realtime.fleet.publishes.messages import (
    LONGEST_ADDRESS,
    LONGEST_REASON,
    SOURCES,
    PublishesReport,
    RefusalReport,
    Slot,
    Source,
    StatusCount,
)
from realtime.fleet.publishes.recent_times import RecentTimes
from realtime.rate_limit import RateLimit

logger = structlog.get_logger("sse")

ACCEPTED: Final = 202
UNAUTHORISED: Final = 401

REMEMBERED_SECONDS: Final = 3600.0
"""Of what was refused. Where flags seldom change, the publishes that tell that the
token is wrong come minutes apart."""

LOG_SECONDS: Final = 60.0
"""How often each cause of a refusal is logged."""


class PublishRecorder:
    """Remembers when publishes were accepted, and what was refused, and logs that.

    `clock` counts seconds from anywhere, and never backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refusals: dict[tuple[int, bool], _Refusal] = {}
        self._logged = RateLimit(LOG_SECONDS)
        self.accepted = RecentTimes(clock)
        """Those that were stored, or kept to be stored later: to be noted."""

    def refused(
        self, status: int, reason: str, address: str, *, publisher: bool
    ) -> None:
        """A publish from `address` was answered with `status` for `reason`, which is a
        sentence. `publisher` says whether it looks as if a publisher has sent it.

        The statuses must be few, and with 401 the reasons, too.
        """
        reason = without_whole_keys(reason)[:LONGEST_REASON]
        address = address[:LONGEST_ADDRESS]
        refusal = self._refusals.get((status, publisher))
        if refusal is None:
            refusal = self._refusals[status, publisher] = _Refusal(self._clock)
        refusal.note(reason, address)
        # Other reasons may be made up by a client.
        kind = reason if status == UNAUTHORISED else ""
        if times := self._logged.count((status, publisher, kind)):
            log = logger.warning if publisher else logger.info
            log(
                "publish.refused",
                status=status,
                reason=reason,
                address=address,
                times=times,
            )

    def report(self, now: float) -> PublishesReport:
        """What is remembered, where it is `now` (Unix seconds)."""
        started = now - self._clock()
        """When the clock showed 0."""
        latest = self.accepted.latest
        counts = {ACCEPTED: self.accepted.recent()}
        for (status, _), refusal in self._refusals.items():
            counts[status] = counts.get(status, 0) + refusal.times.recent()
        return PublishesReport(
            accepted_at=None if latest is None else max(0.0, started + latest),
            statuses=tuple(
                StatusCount(status, count)
                for status, count in sorted(counts.items())
                if count
            ),
            refusals=tuple(
                refusal.report(status, started, publisher=publisher)
                for (status, publisher), refusal in sorted(self._refusals.items())
                if refusal.times.within(REMEMBERED_SECONDS)
            ),
        )


class _Refusal:
    """What was refused with one status."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reason = ""
        self._sources: dict[str, float] = {}
        """When each address was seen last, the newest at the end."""
        self._others_at: float | None = None
        self.times = RecentTimes(clock)

    def note(self, reason: str, address: str) -> None:
        self.times.note()
        self._reason = reason
        self._sources.pop(address, None)
        self._sources[address] = self._clock()
        if len(self._sources) > SOURCES:
            self._others_at = self._sources.pop(next(iter(self._sources)))

    def report(self, status: int, started: float, *, publisher: bool) -> RefusalReport:
        """`started` is when the clock showed 0 (Unix seconds)."""

        def moment(at: float) -> float:
            return max(0.0, started + at)

        return RefusalReport(
            status=status,
            reason=self._reason,
            publisher=publisher,
            slots=tuple(
                Slot(moment(at), count)
                for at, count in self.times.within(REMEMBERED_SECONDS)
            ),
            sources=tuple(
                Source(address, moment(at)) for address, at in self._sources.items()
            ),
            others_at=None if self._others_at is None else moment(self._others_at),
        )
