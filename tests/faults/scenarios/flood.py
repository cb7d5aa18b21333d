"""A client that opens everything it can, and keeps it."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import surroundings
from tests.support.malformed import LIVEZ
from tests.support.streams import Stream
from tests.support.task_processor import TIMEOUT_SECONDS, publish

LIMIT = 1000
CONNECTIONS = 1100
TRIES = 20
WAIT_SECONDS = 1.0


def opened(port: int) -> list[socket.socket]:
    """Connections that have been answered one request, and are kept alive."""
    clients = []
    for _ in range(CONNECTIONS):
        with suppress(OSError):
            client = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
            clients.append(client)
            client.sendall(LIVEZ)
            client.recv(4096)
    return clients


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder, open_files=f"-n {LIMIT}") as (service, _):
        clients = await asyncio.to_thread(opened, service.port)
        answers, probes = [], 0
        for number in range(1, TRIES + 1):
            answers.append(await publish(service.url, "flood", number))
            probes += await asyncio.to_thread(service.is_ready)
        async with Stream(service.stream_url("flood")) as stream:
            streamed = stream.status
        for client in clients:
            client.close()
    slowest = max(answer.seconds for answer in answers)
    served = sum(answer.stored for answer in answers)
    return Finding(
        f"{len(clients):,} connections opened; {served} of {TRIES} publishes stored, "
        f"the slowest answer after {slowest:.2f} s; {probes} of {TRIES} probes "
        f"answered; a new stream answered {streamed}",
        unless(served == TRIES, f"{TRIES - served} publishes were not stored")
        + unless(slowest < TIMEOUT_SECONDS, f"the slowest took {slowest:.1f} s")
        + unless(probes == TRIES, f"{TRIES - probes} probes were not answered")
        + unless(streamed == 200, f"a stream was answered {streamed}"),
    )


FLOOD = Scenario(
    "flood",
    f"one client that opens {CONNECTIONS:,} connections, asks once on each and keeps "
    f"them, where there are {LIMIT:,} open files",
    "publishers, probes and a new stream of others are served",
    measure,
)
