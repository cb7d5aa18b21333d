"""The wall clock of the service's process, stepped."""

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
    ) as (service, _):
        async with Stream(service.stream_url("clock")) as stream:
            assert (await stream.next_block()).startswith("retry:")
            for number, step in enumerate((HOUR, -HOUR, HOUR, 0), start=1):
                offset.write_text(f"{step:+d}")
                await asyncio.to_thread(
                    eventually,
                    lambda step=step: abs(ahead(service) - step) < HOUR / 2,
                    what="the step of the clock",
                )
                assert service.publish("clock", number).status_code == 202
                assert await stream.next_event() == event(str(number))
                began = time.monotonic()
                assert (await stream.next_block()).startswith(":")
                gaps.append(time.monotonic() - began)
                async with Stream(service.stream_url("clock")) as late:
                    assert await late.next_event(5) == event(str(number))
            found += unless(not stream.closed, "the stream ended")
        found += unless(not service.events("bridge.interrupted"), "NATS was left")
    found += unless(
        all(abs(gap - KEEPALIVE) < LATE_SECONDS for gap in gaps),
        f"keep-alives after {gaps}",
    )
    return Finding(
        "four steps: every update delivered and replayed, keep-alives after "
        f"{min(gaps):.2f} to {max(gaps):.2f} s of {KEEPALIVE:.0f} s, no stream ended",
        found,
    )


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
