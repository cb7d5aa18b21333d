"""Updates that come faster than everybody can be told of each."""

import asyncio
import time
from pathlib import Path
from random import Random
from statistics import quantiles

import nats

from realtime.jetstream.subjects import subject_of
from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import probed, readers, surroundings
from tests.support.task_processor import publish

SUBSCRIBERS = 5000
RATE = 200
SECONDS = 5.0
LAST = "1000000000"
TOLD_SECONDS = 3.0
HEALTH_SECONDS = 1.0


async def store(url: str) -> None:
    """Store `RATE` updates a second, past the service."""
    client = await nats.connect(url)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(1, int(RATE * SECONDS) + 1):
        await client.publish(subject_of("storm"), b'{"updated_at":%d}' % number)
        await asyncio.sleep(max(0, began + number / RATE - loop.time()))
    await client.flush()
    await client.close()


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder) as (service, nats_server):
        async with (
            readers(service, SUBSCRIBERS, "storm", LAST) as told,
            probed(service) as alive,
            probed(service, "/readyz"),
        ):
            await store(nats_server.url)
            answer = await publish(service.url, "storm", int(LAST))
            began = time.monotonic()
            async with asyncio.timeout(60):
                events = int(await told.readline())
            waited = time.monotonic() - began
    p99 = quantiles(alive, n=100)[-1]
    return Finding(
        f"`/livez` p99 {p99 * 1000:.0f} ms; {events:,} events written instead of "
        f"{SUBSCRIBERS * RATE * SECONDS:,.0f}; a publish answered {answer.status} "
        f"after {answer.seconds:.2f} s, and everybody told of it {waited:.2f} s later",
        unless(p99 < HEALTH_SECONDS, f"`/livez` took {p99:.1f} s")
        + unless(answer.stored, f"the last publish was answered {answer.status}")
        + unless(waited < TOLD_SECONDS, f"all were told after {waited:.1f} s"),
    )


UPDATE_STORM = Scenario(
    "update-storm",
    f"{RATE} updates a second for {SECONDS:.0f} s to {SUBSCRIBERS:,} subscribers of "
    "one environment",
    "the newest is told; health, readiness and publishes go on; everybody has the last "
    f"within {TOLD_SECONDS:.0f} s",
    measure,
)
