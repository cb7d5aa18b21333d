"""Very many publishes at once, each on a connection of its own."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import readers, surroundings
from tests.support.task_processor import TIMEOUT_SECONDS, publish

SUBSCRIBERS = 8000
AT_ONCE = 60
ROUNDS = 2
TOLD_SECONDS = 30.0


async def measure(folder: Path, rng: Random) -> Finding:
    last = AT_ONCE * ROUNDS + 1
    with surroundings(folder) as (service, _):
        async with readers(service, SUBSCRIBERS, "storm", f"{last}") as told:
            answers = []
            for number in range(ROUNDS):
                first = number * AT_ONCE + 1
                answers += await asyncio.gather(
                    *(
                        publish(service.url, "storm", update)
                        for update in range(first, first + AT_ONCE)
                    )
                )
            assert (await publish(service.url, "storm", last)).stored
            async with asyncio.timeout(TOLD_SECONDS):
                await told.readline()
    slowest = max(answer.seconds for answer in answers)
    statuses = Counter(answer.status for answer in answers)
    return Finding(
        f"{ROUNDS} times {AT_ONCE}: {statuses[202]} answered 202, the slowest after "
        f"{slowest:.2f} s",
        unless(all(answer.stored for answer in answers), f"answers {statuses}")
        + unless(slowest < TIMEOUT_SECONDS, f"the slowest took {slowest:.1f} s"),
    )


PUBLISH_STORM = Scenario(
    "publish-storm",
    f"{AT_ONCE} publishes at once, each on a new connection, to an environment with "
    f"{SUBSCRIBERS:,} subscribers",
    f"each answered 202 within {TIMEOUT_SECONDS:.0f} s",
    measure,
)
