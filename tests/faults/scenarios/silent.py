"""Clients that do not read, or hardly."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import requests

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import (
    memory,
    p99_of_others,
    socket_memory,
    surroundings,
)
from tests.support.service import ROOT, TOKEN, Service

CLIENTS = 1000
FILL_UPDATES = 60
DIGITS = 3000
"""Of a number, which is passed on as it is: 180 kB for each client."""

FILL_INTERVAL = 0.1

MEASURE_SECONDS = 15.0
WORSE = 1.5
NOISE_SECONDS = 0.05
"""What a p99 of a few milliseconds may vary by on a busy machine."""

MOST_MB = 400.0
"""For 2,000 clients: what came until the sweep found them, as the kernel counts it."""


def fill(service: Service) -> None:
    """Publish very much to the environment that is not read."""
    url = service.queue_change_url("unread")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Token {TOKEN}"
        for number in range(FILL_UPDATES):
            body = f'{{"updated_at":{number}.{"0" * DIGITS}}}'
            headers = {"Content-Type": "application/json"}
            assert session.post(url, body, headers=headers).status_code == 202
            time.sleep(FILL_INTERVAL)


@asynccontextmanager
async def slow_readers(service: Service) -> AsyncIterator[None]:
    """All of them, while they run."""
    module = "tests.faults.scenarios.slow_readers"
    readers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, str(service.port), str(CLIENTS)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert readers.stdout is not None
        assert await readers.stdout.readline() == b"subscribed\n"
        yield
        assert readers.returncode is None, "they have ended"
    finally:
        if readers.returncode is None:
            readers.kill()
        await readers.wait()


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder, SSE_KEEPALIVE_SECONDS="2", SSE_STALL_SECONDS="600") as (
        service,
        _,
    ):
        before = await p99_of_others(service, MEASURE_SECONDS, rng)
        async with slow_readers(service):
            held, in_kernel = memory(service), socket_memory()
            began = time.monotonic()
            await asyncio.to_thread(fill, service)
            filled = time.monotonic() - began
            lagging = service.introspect()["lagging"]
            more = memory(service) - held
            more_in_kernel = socket_memory() - in_kernel
            during = await p99_of_others(service, MEASURE_SECONDS, rng)
    return Finding(
        f"{FILL_UPDATES} updates for them in {filled:.0f} s: {lagging} backed up, "
        f"{more:.0f} MB in the process and {more_in_kernel:.0f} MB in the kernel; "
        f"others' p99 {before * 1000:.1f} ms before, {during * 1000:.1f} ms during",
        unless(
            during < before * WORSE + NOISE_SECONDS,
            f"others' p99 rose from {before * 1000:.1f} to {during * 1000:.1f} ms",
        )
        + unless(lagging > CLIENTS, f"only {lagging} are backed up: no test of it")
        + unless(more + more_in_kernel < MOST_MB, "it is not bounded"),
    )


SILENT = Scenario(
    "silent",
    "1,000 clients that read nothing, 1,000 that read one byte a second",
    "bounded memory, others' p99 latency not worse than 1.5 ×",
    measure,
)
