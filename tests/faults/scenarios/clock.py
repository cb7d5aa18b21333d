"""The wall clock of the service's process, stepped. That of nats-server cannot be: it
asks the kernel, past every library."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from random import Random

import requests

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import surroundings
from tests.support.service import Service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

LIBRARIES = "*/faketime/libfaketimeMT.so.1"
"""Below /usr/lib: where Debian's package faketime puts it."""

KEEPALIVE = 1.0
LATE_SECONDS = 1.0
KEPT = 8.0
"""How long an update is replayed."""

AGE = 24.0
"""How long a stream lasts, give or take half."""

HOUR = 3600


async def measure(folder: Path, rng: Random) -> Finding:
    offset = folder / "offset"
    offset.write_text("+0")
    found: list[str] = []
    gaps: list[float] = []
    with surroundings(
        folder,
        LD_PRELOAD=library(),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        SSE_KEEPALIVE_SECONDS=str(KEEPALIVE),
        NATS_STREAM_MAX_AGE_SECONDS=str(KEPT),
        SSE_MAX_STREAM_AGE_SECONDS=str(AGE),
    ) as (service, _):
        async with Stream(service.stream_url("clock")) as stream:
            opened = time.monotonic()
            assert (await stream.next_block()).startswith("retry:")
            for number, step in enumerate((HOUR, -HOUR, HOUR, 0), start=1):
                offset.write_text(f"{step:+d}")
                await asyncio.to_thread(
                    eventually,
                    lambda step=step: abs(ahead(service) - step) < HOUR / 2,
                    what="the step of the clock",
                )
                assert service.publish("clock", number).status_code == 202
                published = time.monotonic()
                assert await stream.next_event() == event(str(number))
                began = time.monotonic()
                assert (await stream.next_block()).startswith(":")
                gaps.append(time.monotonic() - began)
                async with Stream(service.stream_url("clock")) as late:
                    assert await late.next_event(5) == event(str(number))
            offset.write_text(f"{HOUR:+d}")
            while await replayed(service):
                assert time.monotonic() - published < 2 * KEPT, "it is kept for ever"
            kept = time.monotonic() - published
            found += unless(kept > KEPT, f"an update was replayed for {kept:.1f} s")
            await stream.until_end(1.5 * AGE)
            lasted = time.monotonic() - opened
            found += unless(
                AGE / 2 < lasted < AGE * 1.5 + LATE_SECONDS,
                f"a stream lasted for {lasted:.1f} s",
            )
        found += unless(not service.events("bridge.interrupted"), "NATS was left")
    found += unless(
        all(abs(gap - KEEPALIVE) < LATE_SECONDS for gap in gaps),
        f"keep-alives after {gaps}",
    )
    return Finding(
        "five steps: every update delivered, and replayed for "
        f"{kept:.1f} s of {KEPT:.0f} s; keep-alives after {min(gaps):.2f} to "
        f"{max(gaps):.2f} s of {KEEPALIVE:.0f} s; a stream lasted {lasted:.0f} s of "
        f"{AGE / 2:.0f} to {AGE * 1.5:.0f} s",
        found,
    )


async def replayed(service: Service) -> bool:
    """Whether a new subscriber is sent an update."""
    async with Stream(service.stream_url("clock")) as stream:
        try:
            await stream.next_event(KEEPALIVE / 2)
        except TimeoutError:
            return False
        return True


def library() -> str:
    return str(next(Path("/usr/lib").glob(LIBRARIES)))


def ahead(service: Service) -> float:
    """How many seconds its clock is ahead of ours."""
    date = requests.get(f"{service.url}/livez", timeout=5).headers["date"]
    return parsedate_to_datetime(date).timestamp() - time.time()


CLOCK = Scenario(
    "clock",
    "wall clock stepped back and forth by an hour",
    "keep-alives, ages and replays unaffected",
    measure,
)
