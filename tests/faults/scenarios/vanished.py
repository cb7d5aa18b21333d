"""Peers that vanish without a word: their network is gone."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import surroundings
from tests.support.waiting import eventually

PEERS = 100
AWAY_SECONDS = 45.0
"""A tunnel: longer than SSE_STALL_SECONDS is here, and shorter than
SSE_VANISHED_SECONDS."""

STALL_SECONDS, VANISHED_SECONDS = 20, 60
BACK_SECONDS = 30.0
"""Twice as long as the kernel waits before it sends again."""

GONE_SECONDS = VANISHED_SECONDS + 20.0
"""The first keep-alive that is not confirmed is sent up to 15 s after the network has
gone."""

LATE_SECONDS = 5.0
"""On a busy machine."""

UPDATE = 7

_LINK = ip_address("198.18.0.0") + os.getpid() % 2**15 * 4
OURS, THEIRS = str(_LINK + 1), str(_LINK + 2)
"""Addresses for tests of networks (RFC 2544), on a link of this process's own."""

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
for client in clients:
    received = b""
    while b'"updated_at":{UPDATE}}}' not in received:
        received += client.recv(4096)
print("told", flush=True)
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
async def peers(name: str, port: int) -> AsyncIterator[asyncio.StreamReader]:
    """Subscribers in the namespace, in a process of their own, which says `told` when
    all of them have got the update."""
    client = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", name, sys.executable, "-c", CLIENT, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert client.stdout is not None
        assert await client.stdout.readline() == b"connected\n"
        yield client.stdout
    finally:
        client.kill()
        await client.wait()


async def measure(folder: Path, rng: Random) -> Finding:
    variables = {
        "LISTEN_ADDR": ":0",
        "SSE_STALL_SECONDS": str(STALL_SECONDS),
        "SSE_VANISHED_SECONDS": str(VANISHED_SECONDS),
    }
    with namespace() as name, surroundings(folder, **variables) as (service, _):
        files = Path(f"/proc/{service.process.pid}/fd")
        before = len(os.listdir(files))
        async with peers(name, service.port) as output:
            ip("-n", name, "link", "set", "peer", "down")
            await asyncio.to_thread(service.publish, "vanished", UPDATE)
            await asyncio.sleep(AWAY_SECONDS)
            kept = service.introspect()["subscribers"]
            ip("-n", name, "link", "set", "peer", "up")
            began = time.monotonic()
            told = await asyncio.wait_for(output.readline(), 2 * BACK_SECONDS)
            back = time.monotonic() - began

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
        f"back after {AWAY_SECONDS:.0f} s: {kept} of {PEERS} kept, all told within "
        f"{back:.1f} s; not back: gone after {gone:.0f} s, descriptors back",
        unless(kept == PEERS, f"{kept} of {PEERS} kept")
        + unless(told == b"told\n", "not all were told")
        + unless(back < BACK_SECONDS, f"told after {back:.0f} s")
        + unless(gone < GONE_SECONDS + LATE_SECONDS, f"gone after {gone:.0f} s")
        + unless(left <= 1, f"{left} descriptors left"),
    )


VANISHED = Scenario(
    "vanished",
    "peers that vanish without a FIN (network namespace, link down) for 45 s, and for "
    "good",
    "kept and told when they are back; gone within 80 s (SSE_VANISHED_SECONDS is 60 "
    "here), descriptors back",
    measure,
)
