"""Very many clients that come back at once, and one that never lets go."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import cpu, probed, surroundings
from tests.support.crowd import Member
from tests.support.service import ROOT, Service
from tests.support.waiting import eventually

CLIENTS = 15_000
DOWN_SECONDS = 20.0
SERVED_SECONDS = 60
HEALTH_SECONDS = 1.0
BUSY = 0.75
"""Of one core, for the rejections."""

EAGER_PER_SECOND = 5.0
"""What the pacing leaves of a client that tries as fast as it can."""


@asynccontextmanager
async def clients(service: Service, rng: Random) -> AsyncIterator[None]:
    """All of them, while they try."""
    module = "tests.faults.scenarios.returning"
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", sys.executable, "-m", module),
        *(str(service.port), str(CLIENTS), str(rng.getrandbits(32))),
        cwd=ROOT,
    )
    try:
        yield
        assert process.returncode is None, "they have ended"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


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
        done = asyncio.Event()
        async with probed(service) as answers, clients(service, rng):
            retrying = asyncio.create_task(eager(service, done))
            began, used = time.monotonic(), cpu(service)
            await asyncio.sleep(DOWN_SECONDS)
            load = (cpu(service) - used) / (time.monotonic() - began)
            done.set()
            tries = await retrying / DOWN_SECONDS
            rejections = await asyncio.to_thread(
                service.metric, 'flagsmith_sse_rejections_total{reason="nats"}'
            )
            await asyncio.to_thread(nats.start)
            began = time.monotonic()
            await asyncio.to_thread(
                eventually,
                lambda: service.metric("flagsmith_sse_subscribers") == CLIENTS,
                seconds=SERVED_SECONDS,
                what="all to be served",
            )
            served = time.monotonic() - began
    slowest = max(answers)
    return Finding(
        f"{rejections:,.0f} rejections in {DOWN_SECONDS:.0f} s at {load:.0%} of a "
        f"core; the eager client tried {tries:.1f} times a second; `/livez` answered "
        f"within {slowest:.2f} s; all {CLIENTS:,} served {served:.1f} s after NATS was "
        "back",
        unless(slowest < HEALTH_SECONDS, f"health took {slowest:.1f} s")
        + unless(load < BUSY, f"{load:.0%} of a core")
        + unless(rejections > CLIENTS, "not everybody was rejected: no test of it")
        + unless(tries < EAGER_PER_SECOND, f"{tries:.0f} tries a second"),
    )


STORM = Scenario(
    "storm",
    "15,000 clients reconnecting within 3 s, and one that retries as fast as it can, "
    "while NATS is down",
    "CPU stays bounded by the paced rejections, health keeps answering within 1 s",
    measure,
)
