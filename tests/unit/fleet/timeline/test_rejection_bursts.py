"""Rejections in bulk."""

from realtime.fleet.timeline.event_memory import (
    EventMemory,
)
from realtime.fleet.timeline.events import (
    Rejections,
)
from realtime.fleet.timeline.rejection_bursts import BURST, Reason, RejectionBursts
from tests.unit.fleet.timeline.made_up import NOW, Clock, answer, texts


def test_bursts__many_rejections__one_event_until_they_end(
    memory: EventMemory, clock: Clock
) -> None:
    # Given
    totals: dict[Reason, int] = {"full": 5, "failed": 0}
    bursts = RejectionBursts(memory, "me", lambda: dict(totals))

    # When: a few, then many, then a few, then none
    for rejected in (BURST - 1, BURST, 400, 1, 0, 0):
        clock.now += 10
        totals["full"] += rejected
        bursts.sample()

    # Then
    [event] = memory.newest_first()
    assert isinstance(event, Rejections)
    assert (event.reason, event.rejected) == ("full", BURST + 401)
    assert (event.at, event.until) == (NOW + 10, NOW + 40)
    [story] = texts(answer("me", event), now=clock.now)
    assert story.title == "411 event streams were rejected."
    assert story.sentences == (
        "The reason: an instance had as many subscribers as it can hold.",
    )
