"""Requests that are too many, too large, too slow, or none."""

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from realtime.server.connections import REQUEST_SECONDS
from realtime.views import ANSWER_SECONDS
from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import (
    memory,
    p99_of_others,
    slowed,
    surroundings,
)
from tests.support.malformed import LIVEZ, MALFORMED, QUEUE_CHANGE
from tests.support.service import Service

HALVES = 2000
LATE_SECONDS = 5.0
MEASURE_SECONDS = 7.5
"""The half requests last 10 s."""

REFUSED = {
    **MALFORMED,
    "header of 1 MB": b"GET /livez HTTP/1.1\r\nA: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "10,000 pipelined": LIVEZ * 10_000,
}


async def half_request(service: Service) -> float:
    """Send half a request and wait; how long the server puts up with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    began = time.monotonic()
    writer.write(b"GET /sse/environments/half/stream HTTP/1.1\r\nHos")
    with suppress(ConnectionError):
        await reader.read()
    writer.close()
    return time.monotonic() - began


async def trickle(service: Service) -> tuple[bytes, float]:
    """Send an update a byte now and then; the status, and how long it took to come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    began = time.monotonic()
    writer.write(QUEUE_CHANGE + b"Content-Length: 4096\r\n\r\n")
    answer = asyncio.create_task(reader.read(100))
    async with asyncio.timeout(REQUEST_SECONDS + LATE_SECONDS):
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait([answer], timeout=0.1)
    writer.close()
    return answer.result()[9:12], time.monotonic() - began


async def refused(service: Service, request: bytes) -> tuple[bytes, float]:
    """The first status that is answered, and how long it took to be cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    began = time.monotonic()
    received = b""
    with suppress(ConnectionError):
        writer.write(request)
        while data := await reader.read(65536):
            received += data
    writer.close()
    return received.rpartition(b"HTTP/1.1 ")[2][:3], time.monotonic() - began


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder) as (service, _):
        before = await p99_of_others(service, MEASURE_SECONDS, rng)
        held = memory(service)
        waiting = [asyncio.create_task(half_request(service)) for _ in range(HALVES)]
        await asyncio.sleep(1)
        during = await p99_of_others(service, MEASURE_SECONDS, rng)
        more = memory(service) - held
        waits = await asyncio.gather(*waiting)
        complaints = unless(
            max(waits) < REQUEST_SECONDS + LATE_SECONDS,
            f"half a request was put up with for {max(waits):.1f} s",
        )
        status, trickled = await trickle(service)
        complaints += unless(
            status == b"408" and trickled < ANSWER_SECONDS + LATE_SECONDS,
            f"a body that trickles: {status!r} after {trickled:.1f} s",
        )
        longest = 0.0
        for name, request in REFUSED.items():
            status, took = await refused(service, request)
            longest = max(longest, took)
            complaints += unless(
                status in (b"400", b"431") and took < LATE_SECONDS,
                f"{name}: {status!r} after {took:.1f} s",
            )
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(LIVEZ)
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    return Finding(
        f"half requests closed after {max(waits):.1f} s, holding {more:.0f} MB; "
        f"a body that trickles refused after {trickled:.1f} s; "
        f"{len(REFUSED)} others refused within {longest * 1000:.0f} ms; others' p99 "
        f"{before * 1000:.1f} ms before, {during * 1000:.1f} ms during",
        complaints + slowed(before, during),
    )


BAD_REQUESTS = Scenario(
    "bad-requests",
    "2,000 connections that send half a request and wait; a header of 1 MB; 10,000 "
    "requests pipelined; a body that trickles; an HTTP/2 preface; a TLS hello; "
    "smuggling shapes (both lengths, bad chunk sizes, …)",
    "refused with 4xx or closed within 10 s, nobody else slowed",
    measure,
)
