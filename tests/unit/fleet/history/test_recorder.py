"""The minutes that a process remembers of itself, by a clock that the test sets."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from structlog.testing import capture_logs

from realtime import metrics
from realtime.fleet.history.metric_totals import counted
from realtime.fleet.history.minutes import (
    BUSIEST,
    KEPT,
    MAX_ENVIRONMENTS,
    MINUTES,
    PUBLISHES,
    Minute,
)
from realtime.fleet.history.recorder import Recorder
from realtime.sse.hub import Hub
from tests.support.waiting import eventually_async

SECRET = "secret"
NOON = 43_200 * 60.0
"""The start of a minute, and of an hour: the minute's number is 43,200."""


class Crowd(Hub):
    """A hub with as many subscribers as the test says."""

    def __init__(self) -> None:
        super().__init__(keepalive=15, max_stream_age=0, clock=lambda: 0)
        self.crowd: dict[str, int] = {}

    @property
    def subscribers(self) -> int:
        return sum(self.crowd.values())

    @property
    def environments(self) -> int:
        return len(self.crowd)

    def busiest(self, count: int) -> list[tuple[str, int]]:
        order = sorted(self.crowd.items(), key=lambda item: -item[1])
        return order[:count]


@dataclass
class World:
    """A recorder, and all it sees."""

    now: float = NOON
    counted: Minute = field(
        default_factory=partial(Minute, 0, publishes=[0] * 5, latencies=[0] * 3)
    )
    hub: Crowd = field(default_factory=Crowd)

    def __post_init__(self) -> None:
        self.recorder = Recorder(
            self.hub, SECRET, read=lambda: self.counted, clock=lambda: self.now
        )

    def count(self, opened: int) -> None:
        """So many streams were opened since the start."""
        self.counted = Minute(0, opened=opened)

    def at(self, now: float) -> list[Minute]:
        """What is known when it is `now`."""
        self.now = now
        return list(self.recorder.hour().minutes)

    def opened_at(self, now: float) -> dict[int, int]:
        """What was opened in each minute, counted from noon."""
        return {m.number - 43_200: m.opened for m in self.at(now)}


def test_minute__ends__what_was_counted_in_it_and_what_is_open_at_its_end() -> None:
    # Given
    world = World()
    world.hub.crowd = {"short": 2, "a-rather-long-key": 3}
    world.counted = Minute(
        0,
        opened=7,
        closed=2,
        deliveries=30,
        rejections=1,
        publishes=[4, 0, 3, 2, 1],
        latencies=[20, 10, 0],
    )

    # When
    nothing_yet = world.at(NOON + 59.9)
    [minute] = world.at(NOON + 60)

    # Then
    assert nothing_yet == []
    hour = world.recorder.hour()
    assert {one.key: one.subscribers for one in hour.environments} == {
        "short": [2],
        "a-rath…-key": [3],
    }
    assert hour.whole
    assert minute == Minute(
        43_200,
        subscribers=5,
        opened=7,
        closed=2,
        deliveries=30,
        rejections=1,
        publishes=[4, 0, 3, 2, 1],
        latencies=[20, 10, 0],
    )


def test_minutes__one_after_the_other__each_has_its_own() -> None:
    # Given
    world = World(now=NOON + 40)
    for minute, total in enumerate((5, 5, 12), start=1):
        world.count(total)
        world.at(NOON + 60 * minute)

    # When / Then
    assert world.opened_at(NOON + 185) == {0: 5, 1: 0, 2: 7}
    assert world.recorder.hour().since == NOON + 40


def test_minutes__two_hours__the_last_hour_is_kept_and_its_environments() -> None:
    # Given
    world = World()
    world.hub.crowd = {"old": 1}
    world.at(NOON + 60)
    world.hub.crowd = {"new": 1}

    # When
    for minute in range(2, 2 * MINUTES):
        world.at(NOON + 60 * minute)

    # Then
    hour = world.recorder.hour()
    assert len(hour.minutes) == KEPT
    assert hour.minutes[-1].number == 43_200 + 2 * MINUTES - 2
    assert [one.key for one in hour.environments] == ["new"]


def test_minute__more_environments_than_are_noted__those_that_are_not_unknown() -> None:
    # Given
    world = World()
    world.hub.crowd = {f"e{n}": 100 + n for n in range(BUSIEST + 1)}
    world.at(NOON + 60)
    whole_at_first = world.recorder.hour().whole
    world.hub.crowd = {"e0": 7}

    # When
    world.at(NOON + 120)

    # Then
    hour = world.recorder.hour()
    found = {one.key: one.subscribers for one in hour.environments}
    assert len(found) == BUSIEST + 1
    assert (found["e0"], found["e1"]) == ([None, 7], [101, 0])
    assert not whole_at_first
    assert not hour.whole


def test_hour__more_environments_than_are_told__those_with_most() -> None:
    # Given
    world = World()
    for minute in range(MAX_ENVIRONMENTS + 1):
        world.hub.crowd = {f"e{minute}": minute + 1}
        world.at(NOON + 60 * (minute + 1))

    # When
    hour = world.recorder.hour()

    # Then
    assert len(hour.environments) == MAX_ENVIRONMENTS
    assert "e0" not in {one.key for one in hour.environments}
    assert not hour.whole


def test_clock__machine_slept__the_minutes_between_are_unknown() -> None:
    # Given
    world = World()
    world.count(3)
    world.at(NOON + 60)
    world.count(5)

    # When: 5 were counted just before it fell asleep, and 2 as it awoke
    world.count(7)
    world.at(NOON + 20 * 60 + 1)
    world.count(8)

    # Then
    assert world.opened_at(NOON + 21 * 60) == {0: 3, 1: 4, 20: 1}


def test_clock__put_back_by_a_moment__nothing_is_lost_or_told_twice() -> None:
    # Given
    world = World()
    world.count(3)
    world.at(NOON + 60.1)

    # When
    assert world.opened_at(NOON + 59.8) == {0: 3}
    world.count(5)

    # Then
    assert world.opened_at(NOON + 60) == {0: 3}
    assert world.opened_at(NOON + 120) == {0: 3, 1: 2}


def test_clock__put_back_by_an_hour__what_is_known_moves_with_it() -> None:
    # Given
    world = World()
    world.count(3)
    world.at(NOON + 60)
    world.count(5)
    world.at(NOON + 125)

    # When
    world.at(NOON + 125 - 3600)
    world.count(6)

    # Then
    assert world.opened_at(NOON + 180 - 3600) == {-60: 3, -59: 2, -58: 1}
    assert world.recorder.hour().since == NOON - 3600


def test_clock__before_1970__nothing_raises() -> None:
    # Given
    world = World()
    world.at(NOON + 60)

    # When / Then
    assert [minute.number for minute in world.at(-1e6)] == [0]


def test_counter__starts_anew__no_minute_is_negative() -> None:
    # Given
    world = World()
    world.count(9)
    world.at(NOON + 60)

    # When
    world.count(2)

    # Then
    assert world.opened_at(NOON + 120) == {0: 9, 1: 0}


def test_state__within_a_minute__what_was_counted_but_not_what_is_open() -> None:
    # Given
    world = World()
    world.hub.crowd = {"environment": 4}
    world.count(3)
    world.at(NOON + 60)
    world.count(5)

    # When
    world.now = NOON + 90
    first, second = world.recorder.state().minutes

    # Then
    assert (first.opened, first.subscribers) == (3, 4)
    assert (second.number, second.opened, second.subscribers) == (43_201, 2, 0)
    assert len(world.at(NOON + 90)) == 1


def test_counted__metrics__publishes_by_outcome() -> None:
    # Given
    before = counted()

    # When
    for status in ("202", "202", "401", "503", "503", "503", "400"):
        metrics.publish_requests[status].inc()
    metrics.publish_duration_seconds.observe(0.01)
    metrics.delivery_duration_seconds.observe(0.002)
    metrics.http_writes["data"].inc(5)

    # Then: one of those with 202 was stored
    after = counted()
    outcomes = zip(PUBLISHES, before.publishes, after.publishes, strict=True)
    assert {kind: now - then for kind, then, now in outcomes} == {
        "stored": 1,
        "kept": 1,
        "unauthorized": 1,
        "unavailable": 3,
        "other": 1,
    }
    assert after.deliveries - before.deliveries == 5
    assert len(after.latencies) == len(metrics.LATENCY_BOUNDS) + 1
    grown = [b - a for a, b in zip(before.latencies, after.latencies, strict=True)]
    assert grown[1] == sum(grown) == 1


async def test_run__reading_fails_once__the_next_minute_is_recorded() -> None:
    # Given: minutes of a twentieth of a second
    failures = [RuntimeError("once")]

    def read() -> Minute:
        if failures and recorder is not None:
            raise failures.pop()
        return Minute(0)

    recorder = None
    recorder = Recorder(Crowd(), SECRET, read=read, seconds=0.05)

    # When
    running = asyncio.create_task(recorder.run())
    try:
        with capture_logs() as logs:
            await eventually_async(lambda: not failures, what="the failure")

        # Then
        assert [event["event"] for event in logs] == ["history.failed"]
        await eventually_async(lambda: recorder.hour().minutes, what="a minute")
    finally:
        running.cancel()
