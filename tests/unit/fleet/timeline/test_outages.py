"""Outages of NATS: noted by one process, told by several."""

import pytest

from realtime.fleet.timeline.event_memory import (
    EventMemory,
)
from realtime.fleet.timeline.events import (
    Gone,
    NatsAway,
)
from realtime.fleet.timeline.outages import AGAIN_SECONDS, FORGET_SECONDS, Outages
from tests.unit.fleet.timeline.made_up import NOW, Clock, answer, texts


class World:
    """What an outage's recorder asks of its process."""

    def __init__(self, memory: EventMemory) -> None:
        self.waiting: set[str] = set()
        self.published: set[str] = set()
        self.rejected = 0
        self.outages = Outages(
            memory,
            "me",
            is_waiting=self.waiting.__contains__,
            published_since=lambda environment, _: environment in self.published,
            rejected=lambda: self.rejected,
        )


@pytest.fixture
def world(memory: EventMemory) -> World:
    return World(memory)


def test_outage__attempt_after_attempt__one_event(
    memory: EventMemory, world: World, clock: Clock
) -> None:
    # When
    for _ in range(131):
        world.outages.lost_connection()
        clock.now += 1
    world.outages.back()
    clock.now += 1
    world.outages.lost_connection()  # NATS falls over once more
    clock.now += AGAIN_SECONDS
    world.outages.back()

    # Then
    [event] = memory.newest_first()
    assert isinstance(event, NatsAway)
    assert event.disconnected
    assert (event.at, event.until) == (NOW, clock.now)

    # When: much later
    clock.now += AGAIN_SECONDS
    world.outages.lost_connection()

    # Then
    assert len(memory.newest_first()) == 2


def test_outage__publishes__counted_until_all_is_stored_or_published_again(
    memory: EventMemory, world: World, clock: Clock
) -> None:
    # Given
    world.outages.lost_connection()
    world.waiting |= {"a", "b", "c"}
    for environment, kept in (("a", False), ("a", True), ("b", True), ("c", True)):
        world.outages.not_stored(environment, kept=kept)
    world.waiting.discard("c")
    world.outages.dropped("c")
    world.rejected = 37

    # When
    clock.now += 180
    world.outages.back()
    world.rejected = 99

    # Then
    [event] = memory.newest_first()
    assert isinstance(event, NatsAway)
    assert (event.refused, event.kept, event.environments) == (1, 3, 3)
    assert (event.waiting, event.lost, event.rejected) == (2, 1, 37)
    [story] = texts(answer("me", event), now=clock.now)
    assert story.title == "NATS was away for 3 min."
    assert story.sentences == (
        "3 publishes were taken and kept (202) and 1 publish was answered with 503, of "
        "3 environments.",
        "The update of 1 environment was lost, and 2 still wait: change a flag there "
        "again, or send a test update.",
        "37 new event streams were rejected; no open one was ended.",
    )

    # When
    world.waiting.clear()
    world.published.add("c")
    world.outages.refresh()

    # Then
    [event] = memory.newest_first()
    [story] = texts(answer("me", event), now=clock.now)
    assert story.sentences[1] == "All of it has been stored since: nothing was lost."

    # When: nothing more will become of it
    clock.now += FORGET_SECONDS + 1
    world.outages.refresh()
    world.outages.dropped("a")
    world.outages.refresh()

    # Then
    assert memory.newest_first() == [event]


def test_outage__seen_by_two__one_event_with_sums_and_environments_once() -> None:
    # Given
    one = NatsAway(
        seen_by="one",
        at=NOW - 100,
        until=NOW - 40,
        refused=1,
        kept=2,
        environments=2,
        rejected=3,
        marks=(1, 2),
    )
    other = NatsAway(
        seen_by="other",
        at=NOW - 90,
        until=NOW - 38,
        kept=1,
        environments=2,
        rejected=4,
        marks=(2, 3),
    )
    unrelated = NatsAway(seen_by="one", at=NOW - 1000, until=NOW - 900)

    # When
    newest, oldest = texts(answer("one", one, unrelated), answer("other", other))

    # Then
    assert (newest.at, newest.until) == (NOW - 100, NOW - 38)
    assert newest.sentences == (
        "3 publishes were taken and kept (202) and 1 publish was answered with 503, of "
        "3 environments.",
        "All of it has been stored since: nothing was lost.",
        "7 new event streams were rejected; no open one was ended.",
    )
    assert oldest.sentences[0] == "Nothing was published meanwhile: nothing was lost."


def test_outage__one_died_or_is_not_back__not_said_that_nothing_was_lost() -> None:
    # Given
    away = NatsAway(
        seen_by="one", at=NOW - 100, until=NOW - 50, kept=1, environments=1, marks=(1,)
    )
    gone = Gone(seen_by="one", at=NOW - 99, instance="x", host="pod", pid=7)

    # When
    told = texts(answer("one", away, gone))
    waiting = texts(answer("one", away), awaited=1)

    # Then
    [with_gone] = [story for story in told if story.kind == "nats_away"]
    assert "what one that died meanwhile had kept in memory is lost" in " ".join(
        with_gone.sentences
    )
    assert waiting[0].sentences[1] == (
        "All that is known of has been stored; 1 instance has not come back yet."
    )


def test_outage__goes_on_for_one__goes_on() -> None:
    # Given: one is cut off still; another, which is gone, was when it told
    back = NatsAway(seen_by="one", at=NOW - 60, until=NOW - 10)
    away = NatsAway(seen_by="other", at=NOW - 60)
    departed = NatsAway(seen_by="departed", at=NOW - 60)

    # When
    [during] = texts(answer("one", back, departed), answer("other", away))
    [after] = texts(answer("one", back, departed))

    # Then
    assert during.going_on
    assert during.until is None
    assert during.title == "NATS is away, for 1 min now."
    assert not after.going_on
    assert after.until == NOW - 10
