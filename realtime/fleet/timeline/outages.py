"""What one process knows of NATS's being away: one event from the first failure until
updates can be stored again, however many attempts there are."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace

from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.events import MAX_MARKS, NatsAway

AGAIN_SECONDS: Final = 10.0
"""NATS that is lost again so soon had not come back."""

FORGET_SECONDS: Final = 60.0
"""After all has been stored: nothing more will become of it."""

MAX_ENVIRONMENTS: Final = 10_000
"""Told apart in one outage: some 1 MB at most, until it is over."""


@dataclass(slots=True)
class _Outage:
    event: NatsAway
    rejected_before: int
    environments: set[str] = field(default_factory=set)
    lost: dict[str, float] = field(default_factory=dict)
    """When the update of each environment was dropped."""


class Outages:
    """Notes them in `events`, as seen by `me`.

    `is_waiting` says whether an update of an environment waits to be stored,
    `published_since` whether one was read that was stored since a moment (Unix
    seconds), and `rejected` counts the event streams that were rejected because of
    NATS.
    """

    def __init__(
        self,
        events: EventMemory,
        me: str,
        *,
        is_waiting: Callable[[str], bool],
        published_since: Callable[[str, float], bool],
        rejected: Callable[[], int],
    ) -> None:
        self._events = events
        self._me = me
        self._is_waiting = is_waiting
        self._published_since = published_since
        self._rejected = rejected
        self._current: _Outage | None = None

    def lost_connection(self) -> None:
        """A session with NATS has ended, or could not be had."""
        outage = self._begin()
        if not outage.event.disconnected:
            self._note(outage, disconnected=True)

    def not_stored(self, environment: str, kept: bool) -> None:
        """A publish was answered with 202 although nothing was stored (`kept`), or with
        503."""
        outage = self._begin()
        outage.event = replace(
            outage.event,
            kept=outage.event.kept + kept,
            refused=outage.event.refused + (not kept),
        )
        if len(outage.environments) < MAX_ENVIRONMENTS:
            outage.environments.add(environment)

    def dropped(self, environment: str) -> None:
        """What waited for NATS was dropped without being stored."""
        outage = self._current
        if outage is not None and environment in outage.environments:
            outage.lost[environment] = self._events.clock()

    def back(self) -> None:
        """Updates can be stored again."""
        outage = self._current
        if outage is not None and outage.event.until is None:
            self._note(outage, until=self._events.clock())

    def refresh(self) -> None:
        """Note what has become of it by now."""
        outage = self._current
        if outage is None:
            return
        self._note(outage)
        until = outage.event.until
        if until is None or any(map(self._is_waiting, outage.environments)):
            return
        if self._events.clock() - until > FORGET_SECONDS:
            self._current = None

    def _begin(self) -> _Outage:
        now, outage = self._events.clock(), self._current
        if outage is not None:
            until = outage.event.until
            if until is None or now - until < AGAIN_SECONDS:
                outage.event = replace(outage.event, until=None)
                return outage
            self._note(outage)
        event = NatsAway(seen_by=self._me, at=now, disconnected=False)
        outage = self._current = _Outage(event, self._rejected())
        self._note(outage)
        return outage

    def _note(self, outage: _Outage, **changes: Any) -> None:
        waiting = [one for one in outage.environments if self._is_waiting(one)]
        for environment, dropped_at in list(outage.lost.items()):
            if self._published_since(environment, dropped_at):
                del outage.lost[environment]
        rejected = outage.event.rejected
        if outage.event.until is None:
            rejected = max(0, self._rejected() - outage.rejected_before)
        outage.event = self._events.note(
            replace(
                outage.event,
                rejected=rejected,
                environments=len(outage.environments),
                waiting=len(waiting),
                lost=len(outage.lost),
                marks=_marks(outage.environments),
                waiting_marks=_marks(waiting),
                **changes,
            )
        )


def _marks(environments: Iterable[str]) -> tuple[int, ...]:
    return tuple(map(_mark, islice(environments, MAX_MARKS)))


def _mark(environment: str) -> int:
    digest = hashlib.blake2b(environment.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")
