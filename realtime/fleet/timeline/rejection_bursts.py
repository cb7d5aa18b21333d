"""Rejections in bulk: one event for each burst."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec.structs import replace

from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.events import Rejections

BURST: Final = 10
"""Rejections between two samples that are worth telling of: a single client that is
turned away tries five times in ten seconds."""

Reason = Literal["full", "failed"]
"""Those because of NATS belong to its outage, and those of a process that drains to its
leaving."""


class RejectionBursts:
    """Notes them in `events`, as seen by `me`; `totals` counts the rejections by
    reason."""

    def __init__(
        self, events: EventMemory, me: str, totals: Callable[[], Mapping[Reason, int]]
    ) -> None:
        self._events = events
        self._me = me
        self._totals = totals
        self._before = totals()
        self._sampled_at = events.clock()
        self._going_on: dict[Reason, Rejections] = {}

    def sample(self) -> None:
        """Every 10 s."""
        totals = self._totals()
        for reason, total in totals.items():
            rejected = total - self._before[reason]
            burst = self._going_on.get(reason)
            if burst is None and rejected >= BURST:
                burst = Rejections(
                    seen_by=self._me, at=self._sampled_at, reason=reason, rejected=0
                )
            if burst is not None and rejected:
                burst = replace(burst, rejected=burst.rejected + rejected)
                self._going_on[reason] = self._events.note(burst)
            elif burst is not None:
                self._events.note(replace(burst, until=self._sampled_at))
                del self._going_on[reason]
        self._before, self._sampled_at = totals, self._events.clock()
