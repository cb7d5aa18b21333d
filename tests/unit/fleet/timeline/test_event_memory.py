"""What happened: remembered within bounds."""

from realtime.fleet.timeline.event_memory import (
    MOST_OF_A_KIND,
    REMEMBER_SECONDS,
    EventMemory,
)
from realtime.fleet.timeline.events import (
    Came,
    NatsAway,
)
from tests.unit.fleet.timeline.made_up import Clock, died


def test_event_memory__one_kind_again_and_again__displaces_no_other(
    memory: EventMemory, clock: Clock
) -> None:
    # Given
    memory.note(NatsAway(seen_by="me", at=clock.now, until=clock.now))

    # When
    for _ in range(1000):
        clock.now += 1
        memory.note(Came(seen_by="me", at=clock.now, instance="x", host="pod", pid=1))

    # Then
    events = memory.newest_first()
    assert len(events) == MOST_OF_A_KIND + 1
    assert isinstance(events[0], Came)
    assert events[0].at == clock.now
    assert isinstance(events[-1], NatsAway)


def test_event_memory__hours_later__forgotten(
    memory: EventMemory, clock: Clock
) -> None:
    # Given
    memory.note(died("me", clock.now))
    memory.learn(died("other", clock.now))

    # When / Then
    clock.now += REMEMBER_SECONDS - 1
    assert len(memory.newest_first()) == 2
    clock.now += 2
    assert memory.newest_first() == []
