"""An hour as a fleet that serves many has it, for pictures: a fleet that has just been
started has none."""

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import nats
from nats.aio.msg import Msg

from realtime.fleet.messages import encode, shortened
from realtime.fleet.minutes import (
    HISTORY,
    KEPT,
    PUBLISHES,
    EnvironmentHour,
    History,
    Hour,
    Minute,
    environment_id,
)
from realtime.metrics import LATENCY_BOUNDS
from tests.support.service import TOKEN

STORED, _, UNAUTHORIZED, UNAVAILABLE, _ = range(len(PUBLISHES))
OUTAGE = range(20, 23)
WRONG_TOKEN = range(52, 55)


@asynccontextmanager
async def made_up_hour(
    url: str, environments: Mapping[str, int]
) -> AsyncIterator[None]:
    """Somebody on the NATS at `url` who tells of such an hour, besides the instances;
    `environments` have as many subscribers as they say, more or less."""
    client = await nats.connect(url)

    async def tell(message: Msg) -> None:
        await message.respond(encode(_history(environments)))

    await client.subscribe(HISTORY, cb=tell)
    await client.flush()
    try:
        yield
    finally:
        await client.close()


def _history(environments: Mapping[str, int]) -> History:
    last = int(time.time() // 60) - 1
    numbers = range(last - KEPT + 1, last)
    return History(
        instance="sse-made-up",
        alive=1,
        hour=Hour(
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
