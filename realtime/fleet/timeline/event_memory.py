"""The memory of one process: what has happened in the last hours, as far as it saw it,
or was told when it came."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from realtime.fleet.timeline.events import MOST_BYTES, Event
from realtime.fleet.wire_types import encode

REMEMBER_SECONDS: Final = 6 * 3600.0
"""As long as an operator who comes in the morning may ask about the night's end."""

MOST_OWN_BYTES: Final = 36_000
MOST_OTHERS_BYTES: Final = 20_000
"""As JSON: together with the rest of an answer less than 64 kB."""

MOST_OF_A_KIND: Final = 60
"""A worker that dies again and again, say, is not to displace everything else."""

Key = tuple[type, object, str, float]
"""Which event it is: two with the same key are one, as known earlier and later."""

_E = TypeVar("_E", bound=Event)


class EventMemory:
    """What this process saw, and, apart from that, what others had seen. `clock` counts
    Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._own = _Memory(MOST_OWN_BYTES)
        self._others = _Memory(MOST_OTHERS_BYTES)

    def note(self, event: _E) -> _E:
        """Remember `event`, in place of what was known of it before."""
        self._own.put(event)
        return event

    def learn(self, event: Event) -> None:
        """Remember what another instance saw."""
        self._others.put(event)

    def newest_first(self) -> list[Event]:
        """All that is remembered, of this process and of others."""
        since = self.clock() - REMEMBER_SECONDS
        both = [*self._own.since(since), *self._others.since(since)]
        return sorted(both, key=lambda event: event.end, reverse=True)


class _Memory:
    """At most so many bytes; the events that were noted first go first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._events: dict[Key, tuple[Event, int]] = {}

    def put(self, event: Event) -> None:
        size = len(encode(event))
        if size > MOST_BYTES:
            return  # nobody would read it
        self._drop(key_of(event))
        alike = [key for key in self._events if key[0] is type(event)]
        if len(alike) >= MOST_OF_A_KIND:
            self._drop(alike[0])
        self._events[key_of(event)] = event, size
        self._bytes += size
        while self._bytes > self._most:
            self._drop(next(iter(self._events)))

    def since(self, moment: float) -> list[Event]:
        """Those that had not ended by then; the others are forgotten."""
        for key, (event, _) in list(self._events.items()):
            if event.end < moment:
                self._drop(key)
        return [event for event, _ in self._events.values()]

    def _drop(self, key: Key) -> None:
        _, size = self._events.pop(key, (None, 0))
        self._bytes -= size


def key_of(event: Event) -> Key:
    return type(event), event.about, event.seen_by, event.at
