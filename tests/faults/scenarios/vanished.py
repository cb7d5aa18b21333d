"""Peers that vanish without a word: their network is gone."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import surroundings
from tests.support.waiting import eventually

PEERS = 100
GONE_SECONDS = 60.0
LATE_SECONDS = 5.0
"""On a busy machine."""

OURS, THEIRS = "198.18.77.1", "198.18.77.2"
"""Addresses for tests of networks (RFC 2544), on a link of our own."""

CLIENT = f"""
import socket, sys
request = b"GET /sse/environments/vanished/stream HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
clients = [
    socket.create_connection(("{OURS}", int(sys.argv[1]))) for _ in range({PEERS})
]
for client in clients:
    client.sendall(request)
    assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
print("connected", flush=True)
sys.stdin.read()
"""


@contextmanager
def namespace() -> Iterator[str]:
    """A network namespace with a link into it, both named after this process."""
    name, link = f"faults-{os.getpid()}", f"f{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip(*("link", "add", link, "type", "veth"), *("peer", "name", "peer"))
        ip("link", "set", "peer", "netns", name)
        ip("addr", "add", f"{OURS}/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "addr", "add", f"{THEIRS}/30", "dev", "peer")
        ip("-n", name, "link", "set", "peer", "up")
        yield name
    finally:
        ip("netns", "delete", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@asynccontextmanager
async def peers(name: str, port: int) -> AsyncIterator[None]:
    """Subscribers in the namespace, in a process of their own."""
    client = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", name, sys.executable, "-c", CLIENT, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert client.stdout is not None
        assert await client.stdout.readline() == b"connected\n"
        yield
    finally:
        client.kill()
        await client.wait()


async def measure(folder: Path, rng: Random) -> Finding:
    with (
        namespace() as name,
        surroundings(folder, LISTEN_ADDR=":0") as (service, _),
    ):
        files = Path(f"/proc/{service.process.pid}/fd")
        before = len(os.listdir(files))
        async with peers(name, service.port):
            assert service.introspect()["subscribers"] == PEERS
            ip("-n", name, "link", "set", "peer", "down")
            began = time.monotonic()
            await asyncio.to_thread(
                eventually,
                lambda: not service.introspect()["subscribers"],
                seconds=2 * GONE_SECONDS,
                what="the subscribers to be gone",
            )
            gone = time.monotonic() - began
            left = len(os.listdir(files)) - before
    return Finding(
        f"{PEERS} gone after {gone:.0f} s, descriptors back",
        unless(gone < GONE_SECONDS + LATE_SECONDS, f"gone after {gone:.0f} s")
        + unless(left <= 1, f"{left} descriptors left"),
    )


VANISHED = Scenario(
    "vanished",
    "peers that vanish without a FIN (network namespace, link down)",
    "subscriber gone within 60 s, descriptors back",
    measure,
)
