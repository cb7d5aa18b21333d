"""The messages with which instances tell each other what has happened: the answer to a
survey, and what a user did."""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from realtime.fleet.messages import Sighting
from realtime.fleet.timeline.events import Dismissed, Event, TestUpdate, decode_event
from realtime.fleet.wire_types import Count, InstanceName, Moment

EVENTS: Final = "flagsmith.fleet.events"
"""Asks every instance for its `EventsAnswer`."""

USER_ACTED: Final = "flagsmith.fleet.told"
"""Tells every instance what a user did: a `UserAction`. Whoever asks for an answer gets
the `Sighting` of each that has heard it."""

UserAction = Dismissed | TestUpdate

MOST_EVENTS: Final = 400
MOST_DEATHS: Final = 50


class Death(Struct, frozen=True, kw_only=True):
    """An instance that was heard of last `at` (Unix seconds), and did not leave."""

    sighting: Sighting
    at: Moment


class EventsAnswer(Struct, frozen=True, kw_only=True):
    """What an instance tells of what happened, the newest event first; whom it takes to
    be dead, who is not expected back, and how many have yet to be heard of after NATS
    was away; and how many instances its settings say there should be (0: they do
    not)."""

    instance: InstanceName
    alive: Count
    events: Annotated[tuple[Raw, ...], Meta(max_length=MOST_EVENTS)] = ()
    deaths: Annotated[tuple[Death, ...], Meta(max_length=MOST_DEATHS)] = ()
    dismissed: Annotated[tuple[InstanceName, ...], Meta(max_length=MOST_DEATHS)] = ()
    awaited: Count = 0
    expected: Annotated[int, Meta(ge=0, le=10_000)] = 0

    def read(self, most: int) -> list[Event]:
        """Its newest events, at most so many: those that this version knows."""
        events = (decode_event(bytes(raw)) for raw in self.events[:most])
        return [event for event in events if event is not None]
