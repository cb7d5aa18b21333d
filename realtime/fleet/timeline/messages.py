"""The messages with which instances tell each other what has happened: the survey, and
what a user did."""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct, json

from realtime.fleet.messages import NOT_READABLE, Count, InstanceName, Sighting
from realtime.fleet.timeline.events import (
    MOST_BYTES,
    Dismissed,
    Event,
    Moment,
    TestUpdate,
    decode_event,
)

EVENTS: Final = "flagsmith.fleet.events"
"""Asks every instance for its `Happened`."""

TOLD: Final = "flagsmith.fleet.told"
"""Tells every instance what a user did: a `Dismissed` or a `TestUpdate`. Whoever asks
for an answer gets the `Sighting` of each that has heard it."""

MOST_EVENTS: Final = 400
MOST_DEATHS: Final = 50


class Death(Struct, frozen=True, kw_only=True):
    """An instance that was heard of last `at` (Unix seconds), and did not leave."""

    sighting: Sighting
    at: Moment


class Account(Struct, frozen=True, kw_only=True):
    """What an instance tells of what happened, the newest event first; whom it takes to
    be dead, who is not expected back, and how many have yet to be heard of after NATS
    was away; and how many instances its settings say there
    should be (0: they do not)."""

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


_told: Final = json.Decoder(Dismissed | TestUpdate)


def decode_told(payload: bytes) -> Dismissed | TestUpdate | None:
    """What somebody told; None if it is nothing that is told."""
    if len(payload) > MOST_BYTES:
        return None
    try:
        told: Dismissed | TestUpdate = _told.decode(payload)
    except NOT_READABLE:
        return None
    return told
