"""Clients that do not read, or hardly."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from threading import Event

import requests

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import (
    memory,
    p99_of_others,
    slowed,
    socket_memory,
    surroundings,
)
from tests.support.service import ROOT, TOKEN, Service

CLIENTS = 1000
DIGITS = 3000
"""Of a number, which is passed on as it is."""

FILL_INTERVAL = 0.1
FILL_SECONDS = 6.0
"""Until every client that does not read is backed up."""

MEASURE_SECONDS = 15.0

MOST_MB, MOST_KERNEL_MB = 50.0, 400.0
"""For 2,000 clients: the newest update of each, and what came until the sweep found
them, as the kernel counts it. All that they do not read would be well over 1 GB."""


@asynccontextmanager
async def filled(service: Service) -> AsyncIterator[list[int]]:
    """Publish very much to the environment that is not read, all the time; the numbers
    of the updates so far."""
    done = Event()
    numbers: list[int] = []
    filling = asyncio.create_task(asyncio.to_thread(fill, service, numbers, done))
    try:
        yield numbers
    finally:
        done.set()
        await filling


def fill(service: Service, numbers: list[int], done: Event) -> None:
    url = service.queue_change_url("unread")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Token {TOKEN}"
        for number in count():
            if done.wait(FILL_INTERVAL):
                return
            body = f'{{"updated_at":{number}.{"0" * DIGITS}}}'
            headers = {"Content-Type": "application/json"}
            assert session.post(url, body, headers=headers).status_code == 202
            numbers.append(number)


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
        async with slow_readers(service), filled(service) as numbers:
            held, in_kernel = memory(service), socket_memory()
            await asyncio.sleep(FILL_SECONDS)
            during = await p99_of_others(service, MEASURE_SECONDS, rng)
            lagging = service.introspect()["lagging"]
            more = memory(service) - held
            more_in_kernel = socket_memory() - in_kernel
            megabytes = len(numbers) * DIGITS * 2 * CLIENTS / 1e6
    return Finding(
        f"{len(numbers)} updates for them, {megabytes:,.0f} MB together: {lagging} "
        f"backed up, {more:.0f} MB in the process and {more_in_kernel:.0f} MB in the "
        "kernel; "
        f"others' p99 {before * 1000:.1f} ms before, {during * 1000:.1f} ms during",
        slowed(before, during)
        + unless(lagging > CLIENTS, f"only {lagging} are backed up: no test of it")
        + unless(more < MOST_MB, f"{more:.0f} MB in the process")
        + unless(more_in_kernel < MOST_KERNEL_MB, f"{more_in_kernel:.0f} MB in kernel")
        + unless(megabytes > 2 * MOST_KERNEL_MB, "too little was sent: no test of it"),
    )


SILENT = Scenario(
    "silent",
    "1,000 clients that read nothing, 1,000 that read one byte a second",
    "bounded memory, others' p99 latency not worse than 1.5 ×",
    measure,
)
