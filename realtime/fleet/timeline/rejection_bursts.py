"""Rejections in bulk: one event for each burst."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec.structs import replace

from realtime.fleet.timeline.event_memory import Happenings
from realtime.fleet.timeline.events import Rejections

BURST: Final = 10
"""Rejections between two samples that are worth telling of: a single client that is
turned away tries five times in ten seconds."""

Reason = Literal["full", "failed"]
"""Those because of NATS belong to its outage, and those of a process that drains to its
leaving."""


class Bursts:
    """Notes them in `happenings`, as seen by `me`; `totals` counts the rejections by
    reason."""

    def __init__(
        self,
        happenings: Happenings,
        me: str,
        totals: Callable[[], Mapping[Reason, int]],
    ) -> None:
        self._happenings = happenings
        self._me = me
        self._totals = totals
        self._before = dict(totals())
        self._sampled_at = happenings.clock()
        self._going_on: dict[Reason, Rejections] = {}

    def sample(self) -> None:
        """Every 10 s."""
        now, totals = self._happenings.clock(), self._totals()
        for reason, total in totals.items():
            rejected = total - self._before.get(reason, 0)
            burst = self._going_on.get(reason)
            if burst is None and rejected >= BURST:
                burst = Rejections(
                    seen_by=self._me, at=self._sampled_at, reason=reason, rejected=0
                )
            if burst is None:
                continue
            if rejected:
                burst = replace(burst, rejected=burst.rejected + rejected)
                self._going_on[reason] = self._happenings.note(burst)
            else:
                self._happenings.note(replace(burst, until=self._sampled_at))
                del self._going_on[reason]
        self._before, self._sampled_at = dict(totals), now
