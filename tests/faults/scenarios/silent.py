"""Clients that do not read, or hardly."""

import asyncio
import time
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
from tests.support.crowd import Member, crowd
from tests.support.service import TOKEN, Service

CLIENTS = 1000
FILL_UPDATES = 60
DIGITS = 3000
"""Of a number, which is passed on as it is: 180 kB for each client."""

FILL_INTERVAL = 0.1

MEASURE_SECONDS = 15.0
WORSE = 1.5
NOISE_SECONDS = 0.01
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


async def trickle(member: Member, start: float) -> None:
    """Read a byte a second for ever, from `start` seconds on."""
    await asyncio.sleep(start)
    while True:
        assert await member.read(1), "the stream was ended"
        await asyncio.sleep(1)


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder, SSE_KEEPALIVE_SECONDS="2", SSE_STALL_SECONDS="600") as (
        service,
        _,
    ):
        before = await p99_of_others(service, MEASURE_SECONDS, rng)
        async with (
            crowd(service, "unread", CLIENTS, receive_buffer=2048),
            crowd(service, "unread", CLIENTS, receive_buffer=2048) as slow,
        ):
            trickling = [
                # Not all at once: that would delay the others here, not there.
                asyncio.create_task(trickle(member, rng.random()))
                for member in slow
            ]
            held, in_kernel = memory(service), socket_memory()
            began = time.monotonic()
            await asyncio.to_thread(fill, service)
            filled = time.monotonic() - began
            lagging = service.introspect()["lagging"]
            more = memory(service) - held
            more_in_kernel = socket_memory() - in_kernel
            during = await p99_of_others(service, MEASURE_SECONDS, rng)
            for task in trickling:
                task.cancel()
            await asyncio.gather(*trickling, return_exceptions=True)
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
