"""The instances that leave properly: by whom they were drained, and whether their
streams were opened elsewhere."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from realtime.fleet.bounded_dict import BoundedDict
from realtime.fleet.messages import Sighting
from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.events import MOST_WORDS, Left, Replaced
from realtime.fleet.timeline.instance_registry import KnownInstance

BACK_SECONDS: Final = 6.0
"""After an instance has left, for its clients to come to another: they are told to wait
for 3 s, give or take half."""

MAX_LEFT: Final = 200
"""A last word may come twice; and who has left has not died."""


class Departures:
    """Notes them in `events`, as seen by `me`. `opened` counts the streams that were
    opened here, and `clock` counts seconds from anywhere."""

    def __init__(
        self,
        events: EventMemory,
        me: Callable[[], Sighting],
        opened: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._events = events
        self._me = me
        self._opened = opened
        self._clock = clock
        # By instance: what to complete at a time, with how many had been opened before.
        self._open: dict[str, tuple[Left, int, float]] = {}
        self._left: BoundedDict[str, None] = BoundedDict(MAX_LEFT)

    def has_left(self, instance: str) -> bool:
        return instance in self._left

    def draining(self, known: KnownInstance) -> None:
        """It says that it drains."""
        if known.draining_at is None:
            known.draining_at = self._events.clock()
            known.opened = self._opened()

    def left(self, known: KnownInstance | None, sighting: Sighting) -> None:
        """It has said its last word; `known` is what was known of it."""
        instance = sighting.instance
        if instance in self._left:
            return
        self._left[instance] = None
        me, now, opened = self._me().instance, self._events.clock(), self._opened()
        at = now
        if known is not None and known.draining_at is not None:
            at, opened = known.draining_at, known.opened
        by = (sighting.drained_by or "")[:MOST_WORDS]
        if known is not None and known.succeeded_at is not None and not by:
            at = known.succeeded_at
            self._events.note(Replaced.of(sighting, seen_by=me, at=at, until=now))
            return
        event = Left.of(
            sighting, seen_by=me, at=at, until=now, by=by, streams=sighting.streams
        )
        self._events.note(event)
        if len(self._open) < MAX_LEFT:
            self._open[instance] = event, opened, self._clock() + BACK_SECONDS

    def look(self) -> None:
        """From time to time: count who came here instead."""
        now = self._clock()
        for instance, (event, before, due) in list(self._open.items()):
            if now >= due:
                del self._open[instance]
                opened = max(0, self._opened() - before)
                self._events.note(replace(event, opened=opened))
