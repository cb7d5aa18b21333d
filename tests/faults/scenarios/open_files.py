"""No more files to open."""

import asyncio
import socket
import time
from collections import Counter
from pathlib import Path
from random import Random

import requests

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import cpu, surroundings
from tests.support.malformed import STREAM
from tests.support.streams import Stream

LIMIT = 256
CLIENTS = 800
WATCH_SECONDS = 5.0
BUSY = 0.3
"""Of one core."""

RECOVERY_SECONDS = 15.0


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder, open_files=f"-n {LIMIT}") as (service, _):
        clients: list[socket.socket] = []
        with requests.Session() as early:
            url = f"{service.url}/livez"
            assert early.get(url).status_code == 200
            async with Stream(service.stream_url("kept")) as kept:
                # Half of a request each: nothing limits those but files and time.
                for _ in range(CLIENTS):
                    client = socket.create_connection(("127.0.0.1", service.port))
                    client.sendall(STREAM[:-2])
                    client.setblocking(False)
                    clients.append(client)
                began, used = time.monotonic(), cpu(service)
                await asyncio.sleep(WATCH_SECONDS)
                load = (cpu(service) - used) / (time.monotonic() - began)
                outcomes = Counter(map(outcome, clients))
                closed = outcomes["closed"] + outcomes["answered"]
                answer = await asyncio.to_thread(early.get, url, timeout=5)
                assert answer.status_code == 200
                for client in clients:
                    client.close()
                began = time.monotonic()
                await asyncio.to_thread(service.await_ready)
                recovered = time.monotonic() - began
                assert service.publish("kept", 1).status_code == 202
                await kept.next_event()
    return Finding(
        f"of {CLIENTS} connections {outcomes['open']} held, {closed} closed to make "
        f"room, {load:.0%} of a core; a new client served {recovered:.2f} s "
        "after they left",
        unless(closed > CLIENTS - LIMIT, f"{outcomes}: no test of it")
        + unless(load < BUSY, f"{load:.0%} of a core")
        + unless(recovered < RECOVERY_SECONDS, f"recovered after {recovered:.1f} s"),
    )


def outcome(client: socket.socket) -> str:
    try:
        return "answered" if client.recv(100) else "closed"
    except BlockingIOError:
        return "open"
    except ConnectionResetError:
        return "closed"


OPEN_FILES = Scenario(
    "open-files",
    "open files exhausted (`ulimit -n 256`)",
    "rejects what it cannot hold, goes on serving the rest, recovers when clients "
    "leave; no busy loop",
    measure,
)
