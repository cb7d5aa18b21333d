"""An hour as a fleet that serves many has it, for pictures: a fleet that has just been
started has none."""

import math
import time
from collections.abc import Mapping
from typing import Final

from realtime.fleet.history.minutes import (
    KEPT,
    PUBLISHES,
    EnvironmentHour,
    Hour,
    Minute,
    environment_id,
)
from realtime.fleet.key_shortening import shortened
from realtime.metrics import LATENCY_BOUNDS
from tests.support.service import TOKEN

ENVIRONMENTS: Final = {
    "WzZVkYqY3nP8mTq4RbXk2c": 34,
    "Hq7sQx2LdKe9vFa1MpTz6w": 11,
    "staging": 5,
}

STORED, _, UNAUTHORIZED, UNAVAILABLE, _ = range(len(PUBLISHES))
OUTAGE = range(20, 23)
WRONG_TOKEN = range(52, 55)


def made_up_hour(environments: Mapping[str, int]) -> Hour:
    """`environments` have as many subscribers as they say, more or less."""
    last = int(time.time() // 60) - 1
    numbers = range(last - KEPT + 1, last + 1)
    return Hour(
        since=0,
        minutes=tuple(
            _minute(number, place, sum(environments.values()))
            for place, number in enumerate(numbers)
        ),
        environments=tuple(
            EnvironmentHour(
                environment_id(key, TOKEN),
                shortened(key),
                [_crowd(count, place) for place in range(len(numbers))],
            )
            for key, count in environments.items()
        ),
    )


def _minute(number: int, place: int, subscribers: int) -> Minute:
    publishes = [0] * len(PUBLISHES)
    publishes[STORED] = 9 + round(5 * math.sin(place) + 4 * math.sin(place / 3))
    if place in OUTAGE:
        publishes[STORED], publishes[UNAVAILABLE] = 0, 11
    if place in WRONG_TOKEN:
        publishes[UNAUTHORIZED] = 4
    crowd = _crowd(subscribers, place)
    deliveries = crowd * publishes[STORED]
    latencies = [0] * (len(LATENCY_BOUNDS) + 1)
    latencies[2 + place % 2 + 3 * (place == OUTAGE.stop)] = 100
    return Minute(
        number,
        subscribers=crowd,
        opened=3,
        closed=3,
        deliveries=deliveries,
        rejections=4 if place in OUTAGE else 0,
        publishes=publishes,
        latencies=latencies,
    )


def _crowd(count: int, place: int) -> int:
    missing = 0.3 if place in range(OUTAGE.stop, OUTAGE.stop + 6) else 0.0
    return round(count * (1 - missing - 0.05 * math.cos(place / 9)))
