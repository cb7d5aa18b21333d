"""A worker that hangs."""

import asyncio
import os
import signal
import time
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import surroundings
from tests.support.service import PROBES
from tests.support.task_processor import publish
from tests.support.waiting import eventually

REPLACED_SECONDS = 15.0
LATE_SECONDS = 15.0
"""For the new one to start, on a busy machine."""


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder, server="workers") as (service, _):
        service.expected_errors |= {"worker.hung", "worker.died"}
        victim = rng.choice(service.workers())
        os.kill(victim, signal.SIGSTOP)
        began = time.monotonic()
        try:
            await asyncio.to_thread(
                eventually,
                lambda: victim not in service.running_workers(),
                seconds=REPLACED_SECONDS + LATE_SECONDS,
                what="the worker to be killed",
            )
        finally:
            # It could not be stopped otherwise.
            if victim in service.running_workers():
                os.kill(victim, signal.SIGCONT)
        killed = time.monotonic() - began
        await asyncio.to_thread(service.await_ready)
        replaced = time.monotonic() - began
        answers = [await publish(service.url, "hung", n) for n in range(1, PROBES + 1)]
    return Finding(
        f"killed after {killed:.1f} s, all connections served again after "
        f"{replaced:.1f} s",
        unless(killed < REPLACED_SECONDS, f"noticed after {killed:.1f} s")
        + unless(all(answer.stored for answer in answers), f"{answers}"),
    )


HUNG_WORKER = Scenario(
    "hung-worker",
    "one of two workers hangs (SIGSTOP)",
    f"killed within {REPLACED_SECONDS:.0f} s and replaced",
    measure,
)
