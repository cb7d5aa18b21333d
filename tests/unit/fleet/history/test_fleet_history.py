"""The last hour of the fleet, summed over what instances tell."""

import json
import time
from typing import Any

import pytest

from realtime.fleet.history.fleet_history import FleetHistory, merge
from realtime.fleet.history.hour_sums import MOST_ENVIRONMENTS, combine
from realtime.fleet.history.minutes import (
    KEPT,
    MAX_ENVIRONMENTS,
    MINUTES,
    EnvironmentHour,
    History,
    Hour,
    Minute,
    Past,
    environment_id,
)
from realtime.fleet.wire_types import decode, encode
from tests.support.histories import full_history

NOW = 43_200 * 60 + 30.0
"""Half a minute after the last minute to be told, which is number 43,199."""

LAST = 43_199
FIRST = LAST - MINUTES + 1
LONG_AGO = NOW - 86_400
A, B, C = (environment_id(key, "secret") for key in "abc")


def hour_of(
    *minutes: Minute,
    since: float = LONG_AGO,
    environments: dict[str, list[int | None]] | None = None,
    whole: bool = True,
) -> Hour:
    told = (environments or {}).items()
    hours = (EnvironmentHour(one, f"key of {one}", values) for one, values in told)
    return Hour(since, minutes, tuple(hours), whole)


def history(
    instance: str, *minutes: Minute, past: Past | None = None, **more: Any
) -> History:
    return History(
        instance=instance, alive=1, hour=hour_of(*minutes, **more), past=past
    )


def past(version: int, *minutes: Minute, of: tuple[str, ...] = ("sse-old",)) -> Past:
    return Past(
        supervisor="supervisor-1", version=version, of=of, hour=Hour(LONG_AGO, minutes)
    )


async def merged(*histories: History) -> FleetHistory:
    return await merge(histories, NOW, complete=True)


async def test_merge__two_instances__sums_of_each_minute() -> None:
    # Given
    one = Minute(LAST, 10, 1, 2, 3, 4, [5, 0, 1, 0, 0], [0, 90, 0])
    other = Minute(LAST, 1, 1, 1, 1, 1, [1, 1, 0, 0, 2], [0, 8, 2])

    # When
    fleet = await merged(history("sse-a", one), history("sse-b", other))

    # Then
    assert fleet.until == 43_200 * 60
    series = (fleet.subscribers, fleet.opened, fleet.closed, fleet.deliveries)
    assert [one[-1] for one in series] == [11, 2, 3, 4]
    assert {kind: one[-1] for kind, one in fleet.publishes.items()} == {
        "stored": 6,
        "kept": 1,
        "unauthorized": 1,
        "unavailable": 0,
        "other": 2,
    }
    # 98 of 100 within 2.5 ms, the other two within 5 ms: the 99th is in their middle
    assert fleet.delivery_p99[-1] == pytest.approx(0.00375)
    assert (fleet.deliveries_per_minute, fleet.rejections_per_minute) == (4, 5)


async def test_merge__minutes_that_nobody_tells__unknown() -> None:
    # When
    fleet = await merged(
        history("sse-a", Minute(FIRST, 5), Minute(LAST - 1, 7)),
        history("sse-b", Minute(FIRST - 1, 100), Minute(LAST + 1, 100)),
    )

    # Then: nor is it told what is out of the hour
    assert fleet.subscribers == (5, *[None] * 57, 7, None)
    assert fleet.publishes["stored"] == (0, *[None] * 57, 0, None)
    assert fleet.delivery_p99 == (None,) * MINUTES
    assert fleet.deliveries_per_minute is None


async def test_merge__nobody__nothing_is_known() -> None:
    # When
    fleet = await merge([], NOW, complete=False)

    # Then
    assert fleet.subscribers == (None,) * MINUTES
    assert fleet.since is None
    assert fleet.subscribers_change is None
    assert fleet.busiest == ()


@pytest.mark.parametrize(("second", "last"), [(1, LAST - 1), (2, LAST)])
async def test_merge__minute_just_over__shown_when_slower_clocks_tell_of_it(
    second: int, last: int
) -> None:
    # When
    fleet = await merge(
        [history("sse-a", Minute(LAST - 1, 1), Minute(LAST, 2))],
        (LAST + 1) * 60 + second,
        complete=True,
    )

    # Then
    assert fleet.until == (last + 1) * 60
    assert fleet.subscribers[-1] == last - LAST + 2


async def test_since__instances_of_different_age__when_the_youngest_began() -> None:
    # Given: one knows the whole hour, one the last three minutes
    older = [Minute(number, 100) for number in range(FIRST, LAST + 1)]
    younger = [Minute(number, 50) for number in range(LAST - 2, LAST + 1)]
    younger[-1].subscribers = 20

    # When
    fleet = await merged(
        history("sse-a", *older),
        history("sse-b", *younger, since=(LAST - 2) * 60 + 10),
    )

    # Then: it is not compared with what one of them knows
    assert fleet.since == (LAST - 2) * 60 + 10
    assert fleet.subscribers_before == (150, 120)
    assert fleet.subscribers_change == -30


async def test_before__all_know_the_hour__almost_an_hour_ago() -> None:
    # When
    fleet = await merged(history("sse-a", Minute(FIRST, 60), Minute(LAST, 0)))

    # Then
    assert fleet.subscribers_before == (60, 59 * 60)
    assert fleet.subscribers_change == -60


async def test_past__told_by_two_workers__counts_once_and_the_newest() -> None:
    # Given
    older = past(1, Minute(LAST, opened=100))
    newer = past(2, Minute(LAST, opened=300))

    # When
    fleet = await merged(
        history("sse-a", Minute(LAST, opened=1), past=newer),
        history("sse-b", Minute(LAST, opened=2), past=older),
        history("sse-c", Minute(LAST, opened=4)),
    )

    # Then
    assert fleet.opened[-1] == 307


async def test_past__of_one_that_still_answers__is_told_once() -> None:
    # Given: it has handed its minutes over, and is about to leave NATS
    handed_over = past(1, Minute(LAST, opened=100), of=("sse-old",))

    # When
    fleet = await merged(
        history("sse-old", Minute(LAST, opened=100)),
        history("sse-new", Minute(LAST, opened=1), past=handed_over, since=NOW - 5),
    )

    # Then: who takes over knows what was before it
    assert fleet.opened[-1] == 101
    assert fleet.since == LONG_AGO


async def test_merge__instance_answers_twice__the_last_answer_counts() -> None:
    # When
    fleet = await merged(
        history("sse-a", Minute(LAST, 1)), history("sse-a", Minute(LAST, 2))
    )

    # Then
    assert fleet.subscribers[-1] == 2


async def test_busiest__several_instances__over_the_hour_with_a_series_each() -> None:
    # Given
    one = history(
        *("sse-a", Minute(LAST - 1), Minute(LAST)), environments={A: [5, 0], B: [1, 7]}
    )
    other = history("sse-b", Minute(LAST), environments={B: [1], C: [1]})

    # When
    fleet = await merged(one, other)

    # Then
    told = [(b.environment, b.subscribers[-2:], b.at_least) for b in fleet.busiest]
    assert told == [
        (f"key of {B}", (1, 8), False),
        (f"key of {A}", (5, 0), False),
        (f"key of {C}", (0, 1), False),
    ]
    assert fleet.busiest[0].subscribers[:-2] == (None,) * 58


async def test_busiest__an_instance_has_others__exact_only_where_it_tells_of_them() -> (
    None
):
    # Given
    minutes = (Minute(LAST - 1), Minute(LAST))
    one = history(
        *("sse-a", *minutes), environments={A: [5, 6], B: [5, None]}, whole=False
    )
    other = history("sse-b", *minutes, environments={A: [1, 1], C: [1, 1]})

    # When
    fleet = await merged(one, other)

    # Then
    told = {b.id: (b.subscribers[-2:], b.at_least) for b in fleet.busiest}
    assert told == {
        A: ((6, 7), False),
        B: ((5, None), True),
        C: ((1, 1), True),
    }


def test_combine__more_than_is_told__the_newest_minutes_and_most_subscribers() -> None:
    # Given
    minutes = [Minute(number, number) for number in range(1, KEPT + 1)]
    first = hour_of(*minutes, environments={A: [1] * KEPT}, since=5)
    many: dict[str, list[int | None]] = {
        f"{n:016}": [n] for n in range(1, MAX_ENVIRONMENTS + 1)
    }
    second = hour_of(Minute(KEPT + 2, 1), environments=many, since=3)
    third = hour_of(Minute(KEPT + 2, 2), environments={A: [99]}, since=4)

    # When
    hour = combine([first, second, third])

    # Then
    assert hour.since == 3
    assert [minute.number for minute in hour.minutes] == [*range(2, KEPT + 1), KEPT + 2]
    assert hour.minutes[-1].subscribers == 3
    assert len(hour.environments) == MAX_ENVIRONMENTS
    assert hour.environments[0].subscribers == [1] * (KEPT - 1) + [99]
    assert f"{1:016}" not in {one.id for one in hour.environments}
    assert not hour.whole
    assert decode(encode(hour), Hour) == hour
    # And: what it was made of is as it was
    assert second.minutes[0].subscribers == 1


def test_combine__nothing_recorded_yet__an_empty_hour() -> None:
    # When / Then
    assert combine([Hour(2), Hour(1)]) == Hour(1)


def test_environment_id__secret__the_same_for_all_who_share_it() -> None:
    # When / Then
    assert environment_id("key", "a" * 200) == environment_id("key", "a" * 200)
    assert environment_id("key", "a") != environment_id("key", "b")
    assert environment_id("key", "") != environment_id("yek", "")


async def test_merge__twenty_instances_with_all_they_can_tell__takes_milliseconds() -> (
    None
):
    # Given
    answers = [encode(full_history(f"sse-{n}", LAST, n // 4)) for n in range(20)]
    took = []

    # When: the best of several, since other tests run beside it
    for _ in range(5):
        began = time.process_time()
        histories = [decode(answer, History) for answer in answers]
        fleet = await merged(*(one for one in histories if one is not None))
        took.append(time.process_time() - began)

    # Then
    assert fleet.subscribers[-1] == 25 * 10**6
    assert max(map(len, answers)) < 128 * 1024
    assert min(took) < 0.1


HOSTILE: dict[str, Any] = {
    "instance of two tokens": {"instance": "a.b"},
    "hour that is a number": {"hour": 1},
    "more minutes than an hour has": {
        "hour": {"since": 0, "minutes": [[n] for n in range(KEPT + 2)]}
    },
    "minute before 1970": {"hour": {"since": 0, "minutes": [[-1]]}},
    "negative count": {"hour": {"since": 0, "minutes": [[1, -1]]}},
    "count without bounds": {"hour": {"since": 0, "minutes": [[1, 10**13]]}},
    "too many outcomes": {
        "hour": {"since": 0, "minutes": [[1, 0, 0, 0, 0, 0, [0] * 17]]}
    },
    "too many environments": {
        "hour": {"since": 0, "environments": [[A, "", []]] * (MAX_ENVIRONMENTS + 1)}
    },
    "environment that is no id": {
        "hour": {"since": 0, "environments": [["x", "", []]]}
    },
    "environment with more minutes than an hour has": {
        "hour": {"since": 0, "environments": [[A, "", [1] * (KEPT + 2)]]}
    },
    "time that is beyond a calendar": {"hour": {"since": 1e300}},
    "too many that have ended": {
        "past": {
            "supervisor": "s",
            "version": 1,
            "of": ["sse-a"] * 33,
            "hour": {"since": 0},
        }
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_decode__senseless_history__not_taken(case: str) -> None:
    # Given
    document = json.loads(encode(history("sse-a")))
    assert decode(json.dumps(document).encode(), History) == history("sse-a")

    # When
    document.update(HOSTILE[case])

    # Then
    assert decode(json.dumps(document).encode(), History) is None


async def test_merge__made_up_environments__bounded_and_said_to_be_incomplete() -> None:
    # Given
    instances = MOST_ENVIRONMENTS // MAX_ENVIRONMENTS + 1
    hostile = [
        history(
            f"sse-{number}",
            *(Minute(LAST, 10**12) for _ in range(KEPT)),
            environments={
                f"{number:06}{n:010}": [10**12] * KEPT for n in range(MAX_ENVIRONMENTS)
            },
        )
        for number in range(instances)
    ]

    # When
    fleet = await merged(*hostile)

    # Then
    assert len(fleet.busiest) == 10
    assert fleet.busiest[0].at_least
    assert encode(fleet)
