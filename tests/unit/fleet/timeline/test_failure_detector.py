"""Who came, left and died, by beacons and clocks set by hand."""

import time
from typing import Any

import pytest
from msgspec import Raw

from realtime.fleet.messages import Sighting
from realtime.fleet.presence import BEACON_SECONDS
from realtime.fleet.timeline.departures import BACK_SECONDS
from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.event_text import texts_of
from realtime.fleet.timeline.events import (
    Came,
    Died,
    Dismissed,
    Event,
    Gone,
    Left,
    Replaced,
    WorkerDied,
)
from realtime.fleet.timeline.failure_detector import (
    DEATH_SECONDS,
    SETTLE_SECONDS,
    UNSURE_SECONDS,
    FailureDetector,
)
from realtime.fleet.timeline.instance_registry import MAX_INSTANCES
from realtime.fleet.timeline.merged_events import merge_events
from realtime.fleet.timeline.messages import MOST_DEATHS, EventsAnswer
from realtime.fleet.timeline.timeline import Timeline
from realtime.fleet.wire_types import encode

START = 1_700_000_000.0


class World:
    """One process that hears of others, and its two clocks."""

    def __init__(self, me: Sighting | None = None) -> None:
        self.me = me or seen("me", host="here", started_at=START)
        self.unix = START
        self.monotonic = 0.0
        self.opened = 0
        self.memory = EventMemory(clock=lambda: self.unix)
        self.detector = FailureDetector(
            self.memory,
            me=lambda: self.me,
            opened=lambda: self.opened,
            clock=lambda: self.monotonic,
        )
        self.detector.joined()

    def pass_time(self, seconds: float, *alive: Sighting) -> None:
        """Beacon after beacon, of those that are `alive` and of this process."""
        end = self.monotonic + seconds
        while self.monotonic < end:
            step = min(BEACON_SECONDS, end - self.monotonic)
            self.monotonic += step
            self.unix += step
            for one in alive:
                self.detector.heard(one)
            self.detector.look()

    def stand_still(self, seconds: float) -> None:
        """As SIGSTOP and SIGCONT do."""
        self.monotonic += seconds
        self.unix += seconds
        self.detector.look()

    def noted(self, kind: type[Event]) -> list[Any]:
        events = self.memory.newest_first()
        return [event for event in events if isinstance(event, kind)]

    @property
    def dead(self) -> list[str]:
        return [death.sighting.instance for death in self.detector.dead.deaths]


@pytest.fixture
def world() -> World:
    world = World()
    world.pass_time(SETTLE_SECONDS)
    return world


def seen(
    instance: str,
    *,
    host: str = "there",
    worker: int | None = None,
    started_at: float | None = None,
    **fields: Any,
) -> Sighting:
    return Sighting(
        instance=instance,
        host=host,
        pid=1,
        worker=worker,
        started_at=started_at,
        **fields,
    )


def test_look__beacon_stops__died_and_stays_so(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"), seen("other", host="elsewhere"))
    last_heard = world.unix

    # When
    world.pass_time(DEATH_SECONDS + BEACON_SECONDS, seen("other", host="elsewhere"))

    # Then
    assert world.dead == ["one"]
    [died] = world.noted(Died)
    assert (died.instance, died.at, died.until) == ("one", last_heard, None)

    # When: much later
    world.pass_time(600, seen("other", host="elsewhere"))

    # Then
    assert world.dead == ["one"]


def test_heard__again_after_death__back(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"))
    world.pass_time(60)
    assert world.dead == ["one"]

    # When
    world.detector.heard(seen("one"))

    # Then
    assert world.dead == []
    [died] = world.noted(Died)
    assert died.until == world.unix


def test_heard__new_instance_on_the_dead_one_s_host__back(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"))
    world.pass_time(60)

    # When
    world.detector.heard(seen("other", host="elsewhere"))
    assert world.dead == ["one"]
    world.detector.heard(seen("two"))

    # Then
    assert world.dead == []
    assert world.noted(Died)[0].until == world.unix
    # It is the one that was back.
    assert [came.instance for came in world.noted(Came)] == ["other", "one", "me"]


def test_look__successor_came_before_the_death_was_known__no_death(
    world: World,
) -> None:
    # Given
    world.pass_time(10, seen("one"))

    # When: the pod starts again within two seconds
    world.pass_time(60, seen("two"))

    # Then
    assert world.dead == []
    assert len(world.noted(Died)) == 1
    assert world.noted(Died)[0].until is not None


def test_look__one_of_two_on_a_host_dies__the_other_is_no_successor(
    world: World,
) -> None:
    # Given
    world.pass_time(10, seen("one", worker=0), seen("two", worker=1))

    # When
    world.pass_time(60, seen("two", worker=1))

    # Then
    assert world.dead == ["one"]

    # When: its supervisor gets another one started at last
    world.pass_time(10, seen("two", worker=1), seen("three", worker=0))

    # Then
    assert world.dead == []


def test_look__worker_that_its_supervisor_replaced__no_death(world: World) -> None:
    # Given
    world.pass_time(10, seen("one", worker=0))

    # When
    world.pass_time(60, seen("two", worker=0))

    # Then
    assert world.dead == []
    assert world.noted(Died) == []
    [died] = world.noted(WorkerDied)
    assert (died.host, died.worker) == ("there", 0)
    assert [came.instance for came in world.noted(Came)] == ["one", "me"]


def test_look__one_of_two_supervisors_on_a_machine_dies_with_its_workers__died() -> (
    None
):
    # Given: the second one was started later, and this is one of its workers
    second = seen("me", host="here", worker=0, supervisor=2, started_at=START)
    world = World(second)
    first: Any = {"host": "here", "supervisor": 1, "started_at": START - 60}
    other = seen("me-1", host="here", worker=1, supervisor=2, started_at=START)
    workers = [seen(f"first-{n}", worker=n, **first) for n in range(2)]
    world.pass_time(20, *workers, other)

    # When
    world.pass_time(60, other)

    # Then
    assert sorted(world.dead) == ["first-0", "first-1"]

    # When: it is started again
    first["supervisor"] = 3
    workers = [seen(f"again-{n}", worker=n, **first) for n in range(2)]
    world.pass_time(20, *workers, other)

    # Then
    assert world.dead == []


def test_look__whole_host_was_gone_and_is_back_with_fewer_workers__no_death(
    world: World,
) -> None:
    # Given
    world.pass_time(10, *(seen(f"old-{n}", worker=n) for n in range(4)))
    world.pass_time(60)
    assert len(world.dead) == 4

    # When
    world.pass_time(10, seen("new-0", worker=0), seen("new-1", worker=1))

    # Then
    assert world.dead == []


def test_heard__last_word__left_with_who_came_instead(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"))
    draining: Any = {"draining": True, "drained_by": "alice", "streams": 17}
    world.pass_time(4, seen("one", **draining))

    # When
    world.opened += 15
    world.detector.heard(seen("one", left=True, **draining))
    world.pass_time(BACK_SECONDS + BEACON_SECONDS)
    world.detector.heard(seen("one", left=True, **draining))
    world.pass_time(60)

    # Then
    [left] = world.noted(Left)
    assert (left.by, left.streams, left.opened) == ("alice", 17, 15)
    assert left.until - left.at == 2  # since the first beacon that told of it
    assert world.dead == []
    assert world.noted(Died) == []


def test_heard__last_word_of_one_that_was_never_heard__left(world: World) -> None:
    # When
    world.detector.heard(seen("never-ready", left=True))

    # Then
    assert [left.instance for left in world.noted(Left)] == ["never-ready"]


def test_heard__worker_whose_successor_is_there_leaves__replaced(world: World) -> None:
    # Given
    world.pass_time(10, seen("old", worker=0))
    world.pass_time(4, seen("old", worker=0), seen("new", worker=0))

    # When
    world.detector.heard(seen("old", worker=0, draining=True, left=True))

    # Then
    assert world.noted(Left) == []
    assert [one.instance for one in world.noted(Replaced)] == ["old"]


def test_heard__who_this_worker_replaces_leaves__replaced() -> None:
    # Given: this is the successor
    world = World(seen("me", worker=0, started_at=START))
    world.pass_time(10, seen("old", worker=0, started_at=START - 100))

    # When
    world.detector.heard(
        seen("old", worker=0, started_at=START - 100, draining=True, left=True)
    )

    # Then
    assert world.noted(Left) == world.noted(Came) == []
    assert len(world.noted(Replaced)) == 1


def test_look__this_process_stood_still__nobody_died(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"))

    # When
    world.stand_still(300)
    world.pass_time(4)
    world.pass_time(60, seen("one"))

    # Then
    assert world.dead == []
    assert world.noted(Died) == []


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_look__wall_clock_jumps__nobody_died(world: World, jump: float) -> None:
    # Given
    world.pass_time(10, seen("one"))

    # When
    world.unix += jump
    world.pass_time(60, seen("one"))

    # Then
    assert world.dead == []
    assert world.noted(Died) == []


def test_joined__again_after_an_outage__who_does_not_come_back_is_gone_not_dead(
    world: World,
) -> None:
    # Given
    world.pass_time(10, seen("one"), seen("stopped-meanwhile"))

    # When
    world.monotonic += 180
    world.unix += 180
    world.detector.joined()
    world.detector.look()
    assert world.detector.awaited == 2
    world.pass_time(DEATH_SECONDS + 4, seen("one"))

    # Then
    assert world.detector.awaited == 1
    assert world.noted(Gone) == []

    # When
    world.pass_time(UNSURE_SECONDS, seen("one"))

    # Then
    assert world.dead == []
    assert [gone.instance for gone in world.noted(Gone)] == ["stopped-meanwhile"]
    assert world.detector.awaited == 0


def test_heard__long_after_an_outage__back(world: World) -> None:
    # Given
    world.pass_time(10, seen("late"))
    world.detector.joined()
    world.pass_time(2 * UNSURE_SECONDS)
    [gone] = world.noted(Gone)
    assert gone.until is None

    # When
    world.pass_time(2, seen("late"))

    # Then
    [gone] = world.noted(Gone)
    assert gone.until == world.unix
    account = EventsAnswer(instance="me", alive=2, events=(Raw(encode(gone)),))
    [story] = texts_of(merge_events([account], world.unix), world.unix)
    assert "came back late" in story.title


def test_look__dies_while_it_drains__left(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"))
    world.pass_time(4, seen("one", draining=True))

    # When: it is killed before its last word
    world.pass_time(60)

    # Then
    assert world.dead == []
    assert len(world.noted(Left)) == 1


def test_dismiss__dead_instance__not_expected_and_learnt_by_late_comers(
    world: World,
) -> None:
    # Given
    world.pass_time(10, seen("one"), seen("two", host="elsewhere"))
    world.pass_time(60)
    assert set(world.dead) == {"one", "two"}

    # When
    world.detector.dead.dismiss("one")

    # Then
    assert world.dead == ["two"]

    # When: one comes later, which one that has not heard of the dismissal tells, too
    late = World(seen("late", host="late", started_at=START + 100))
    late.detector.learn(account_of(world))
    late.detector.learn(account_of(world, dismissed=()))

    # Then
    assert late.dead == ["two"]
    assert late.detector.dead.dismissed == ("one",)

    # When: it is heard of again
    world.detector.heard(seen("one"))

    # Then
    assert world.detector.dead.dismissed == ()


def test_learn__deaths_of_those_that_are_there__not_taken_over(world: World) -> None:
    # Given
    world.pass_time(10, seen("one"), seen("two", host="elsewhere"))
    world.pass_time(60)
    late = World(seen("late", host="late", started_at=world.unix))
    late.unix = world.unix
    late.detector.heard(seen("one"))
    late.detector.heard(seen("new", host="elsewhere", started_at=world.unix - 1))

    # When
    late.detector.learn(account_of(world))

    # Then
    assert late.dead == []


def test_heard__made_up_instances__bounded(world: World) -> None:
    # Given
    world.pass_time(4, seen("real", host="real"))

    # When
    for number in range(3 * MAX_INSTANCES):
        world.detector.heard(seen(f"made-up-{number}", host=f"host-{number}"))
    world.pass_time(30, seen("real", host="real"))
    for number in range(3 * MAX_INSTANCES):
        world.detector.heard(
            Sighting(instance=f"left-{number}", host="h" * 500, pid=1, left=True)
        )

    # Then
    assert "real" not in world.dead
    assert len(world.dead) == MOST_DEATHS
    assert len(world.memory.newest_first()) < 200


def test_heard__beacon_that_changes_its_host__nothing_is_left_behind(
    world: World,
) -> None:
    # When
    for number in range(5):
        world.detector.heard(seen("liar", host=f"host-{number}", worker=number))
    world.pass_time(60)

    # Then
    assert world.detector._registry._hosts == {}
    assert world.detector._registry._places == {}


def test_answer__of_the_largest_memory__fits_64_kilobytes() -> None:
    # Given
    me = seen("me", host="here")
    timeline = Timeline(me=lambda: me, alive=lambda: 1, expected=3, opened=lambda: 0)
    for number in range(500):
        for kind in (Came, Died, Gone):
            timeline.events.note(
                kind(
                    seen_by="me",
                    at=timeline.events.clock(),
                    instance=f"{number:>03}".rjust(200, "x"),
                    host="\u1234" * 200,
                    pid=2**53,
                )
            )

    # When
    account = timeline.answer()

    # Then
    size = sum(len(bytes(raw)) for raw in account.events)
    assert 20_000 < size < 62_000
    newest = account.read(1)
    assert newest[0].end >= account.read(len(account.events))[-1].end


def test_on_user_action__dismissal__remembered_as_seen_here() -> None:
    # Given
    me = seen("me", host="here")
    timeline = Timeline(me=lambda: me, alive=lambda: 1, expected=0, opened=lambda: 0)
    dismissed = Dismissed(
        seen_by="admin", at=time.time(), instance="one", name="One", by="alice"
    )

    # When
    known = timeline.on_user_action(encode(dismissed))
    unknown = timeline.on_user_action(b'{"kind":"of a newer version"}')

    # Then
    assert (known, unknown) == (True, False)
    assert timeline.answer().dismissed == ("one",)
    [event] = timeline.events.newest_first()
    assert (event.seen_by, event.about) == ("me", ("one",))


def account_of(world: World, dismissed: tuple[str, ...] | None = None) -> EventsAnswer:
    return EventsAnswer(
        instance=world.me.instance,
        alive=1,
        deaths=world.detector.dead.deaths,
        dismissed=world.detector.dead.dismissed if dismissed is None else dismissed,
    )
