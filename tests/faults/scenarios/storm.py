"""Very many clients that come back at once, and one that never lets go."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import cpu, probed, surroundings
from tests.support.crowd import Member
from tests.support.service import Service

CLIENTS = 15_000
DOWN_SECONDS = 20.0
HEALTH_SECONDS = 1.0
LATE_SECONDS = 5.0
"""On a busy machine: the clients alone take one of two cores."""

EAGER_PER_SECOND = 5.0
"""What the pacing leaves of a client that tries as fast as it can."""

RETRY_SECONDS = 3.0
"""Over which the JavaScript SDK, for one, spreads its reconnections."""


async def client(service: Service, outcomes: Counter[str], rng: Random) -> Member:
    """Try until there is a stream, waiting as an SDK does."""
    while True:
        await asyncio.sleep(rng.uniform(0, RETRY_SECONDS))
        member = Member()
        with suppress(OSError, TimeoutError, AssertionError):
            await member.subscribe(service.port, "storm")
            outcomes[str(member.status)] += 1
            if member.status == 200:
                return member
        member.close()


async def eager(service: Service, done: asyncio.Event) -> int:
    """Try as fast as possible; how often it was answered."""
    answers = 0
    while not done.is_set():
        member = Member()
        with suppress(OSError, TimeoutError, AssertionError):
            await member.subscribe(service.port, "eager")
            answers += 1
        member.close()
    return answers


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder) as (service, nats):
        await asyncio.to_thread(nats.kill)
        await asyncio.to_thread(service.await_ready, False)
        outcomes: Counter[str] = Counter()
        done = asyncio.Event()
        async with probed(service) as answers:
            retrying = asyncio.create_task(eager(service, done))
            began, used = time.monotonic(), cpu(service)
            clients = [
                asyncio.create_task(client(service, outcomes, rng))
                for _ in range(CLIENTS)
            ]
            await asyncio.sleep(DOWN_SECONDS)
            load = (cpu(service) - used) / (time.monotonic() - began)
            done.set()
            tries = await retrying / DOWN_SECONDS
            rejected = outcomes["503"]
            await asyncio.to_thread(nats.start)
            began = time.monotonic()
            members = await asyncio.gather(*clients)
            served = time.monotonic() - began
        for member in members:
            member.close()
    slowest = max(answers)
    return Finding(
        f"{rejected:,} rejections in {DOWN_SECONDS:.0f} s at {load:.0%} of a core; the "
        f"eager client tried {tries:.1f} times a second; `/livez` answered within "
        f"{slowest:.2f} s; all {CLIENTS:,} served {served:.1f} s after NATS was back",
        unless(slowest < HEALTH_SECONDS + LATE_SECONDS, f"health took {slowest:.1f} s")
        + unless(tries < EAGER_PER_SECOND, f"{tries:.0f} tries a second"),
    )


STORM = Scenario(
    "storm",
    "15,000 clients reconnecting within 3 s, and one that retries as fast as it can, "
    "while NATS is down",
    "CPU stays bounded by the paced rejections, health keeps answering within 1 s",
    measure,
)
