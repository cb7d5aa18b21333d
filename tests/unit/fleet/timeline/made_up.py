"""Events and answers for the tests of the timeline, and a clock set by hand."""

from typing import Any

from msgspec import Raw

from realtime.fleet.timeline.event_text import EventText, texts_of
from realtime.fleet.timeline.events import (
    Died,
    Event,
)
from realtime.fleet.timeline.merged_events import merge_events
from realtime.fleet.timeline.messages import EventsAnswer
from realtime.fleet.wire_types import decode, encode

NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def answer(instance: str, *events: Event, **fields: Any) -> EventsAnswer:
    """As it comes over NATS."""
    made = encode(
        EventsAnswer(
            instance=instance,
            alive=1,
            events=tuple(Raw(encode(event)) for event in events),
            **fields,
        )
    )
    read = decode(made, EventsAnswer)
    assert read is not None
    return read


def texts(
    *accounts: EventsAnswer, now: float = NOW, awaited: int = 0
) -> list[EventText]:
    return list(texts_of(merge_events(accounts, now), now, awaited=awaited))


def died(seen_by: str, at: float, instance: str = "x", **fields: Any) -> Died:
    return Died(seen_by=seen_by, at=at, instance=instance, host="pod", pid=7, **fields)
