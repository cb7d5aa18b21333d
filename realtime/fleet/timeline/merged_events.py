"""What all instances tell as one: what several saw is one event.

Whoever may publish on NATS may answer: so much is read of all answers together, and
nothing here takes more than a sort.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from realtime.fleet.timeline.event_memory import REMEMBER_SECONDS, Key, key_of
from realtime.fleet.timeline.events import Event, Happened, NatsAway, Rejections
from realtime.fleet.timeline.messages import EventsAnswer

MOST_READ: Final = 2000
"""Events of all answers together: some 20 ms of work."""

LEAST_READ: Final = 5
"""Of each answer, as far as `MOST_READ` goes."""

NEAR_SECONDS: Final = 15.0
"""Between the end of one and the beginning of another that are one: the instances learn
of the same by beacons, samples and failures of their own."""

GOES_ON: Final = (NatsAway, Rejections)
"""What is not over before it is over for everybody."""

FUTURE_SECONDS: Final = 120.0
"""By which the clocks of two machines may differ."""


class MergedEvent(Struct, frozen=True):
    """What is one event, as told by several: there is one at least of `events`, which
    are of one kind, each seen by another instance, about another instance, or at
    another time."""

    events: tuple[Any, ...]

    @property
    def first(self) -> Any:
        return self.events[0]

    @property
    def at(self) -> float:
        return min(float(one.at) for one in self.events)

    @property
    def until(self) -> float | None:
        """None if it goes on for anybody, or is a moment. Somebody's being back is not
        heard by all, but is true if one has heard it."""
        ends = [float(one.until) for one in self.events if one.until is not None]
        if not ends or (
            isinstance(self.first, GOES_ON) and len(ends) < len(self.events)
        ):
            return None
        return max(ends)

    @property
    def end(self) -> float:
        return max(float(one.end) for one in self.events)


def merge_events(answers: Sequence[EventsAnswer], now: float) -> list[MergedEvent]:
    """What happened in the last hours, the newest first."""
    share = max(LEAST_READ, MOST_READ // max(1, len(answers)))
    known: dict[Key, Event] = {}
    own: set[Key] = set()
    read = 0
    for answer in answers:
        if read >= MOST_READ:
            break
        events = answer.read(min(share, MOST_READ - read))
        read += len(events)
        for event in events:
            key = key_of(event)
            if not now - REMEMBER_SECONDS <= event.end <= now + FUTURE_SECONDS:
                continue
            # Who saw it knows best what became of it; of copies, the later one does.
            by_itself = answer.instance == event.seen_by
            if not by_itself and event.until is None and isinstance(event, GOES_ON):
                # It was told while it went on, by one that may be gone since.
                event = replace(event, until=event.at)
            if by_itself or (key not in own and _is_later(event, known.get(key))):
                known[key] = event
                if by_itself:
                    own.add(key)
    return sorted(_merged(known.values()), key=attrgetter("end"), reverse=True)


def _is_later(event: Event, than: Event | None) -> bool:
    return than is None or (event.until or 0.0) >= (than.until or 0.0)


def _merged(events: Iterable[Event]) -> Iterable[MergedEvent]:
    def named(one: Happened) -> str:
        return f"{type(one).__name__} {one.about!r}"

    ordered = sorted(events, key=lambda one: (named(one), one.at))
    for _, alike in groupby(ordered, key=named):
        together: list[Event] = []
        end = 0.0
        for event in alike:
            if together and event.at > end + NEAR_SECONDS:
                yield MergedEvent(tuple(together))
                together = []
            together.append(event)
            end = max(end, event.end)
        yield MergedEvent(tuple(together))
