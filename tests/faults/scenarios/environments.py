"""Very many different environments, over time."""

import asyncio
import socket
import struct
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import memory, surroundings
from tests.support.waiting import eventually

ENVIRONMENTS = 200_000
AT_ONCE = 200
WARM_UP = 20_000
"""Until the allocator has what it takes for so many at once."""

GROWTH_MB = 10.0


async def subscribe(port: int, first: int, last: int) -> None:
    """Open and leave a stream of each of the environments numbered so."""
    loop = asyncio.get_running_loop()
    for number in range(first, last):
        with socket.socket() as client:
            client.setblocking(False)
            # Leaves by a reset: no port has to wait for its last packets.
            client.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            await loop.sock_connect(client, ("127.0.0.1", port))
            path = f"/sse/environments/environment-{number}/stream"
            await loop.sock_sendall(
                client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            answer = await loop.sock_recv(client, 4096)
            assert answer.startswith(b"HTTP/1.1 200 "), answer


async def subscribe_all(port: int, first: int, last: int) -> None:
    share = (last - first) // AT_ONCE
    await asyncio.gather(
        *(
            subscribe(port, first + n * share, first + (n + 1) * share)
            for n in range(AT_ONCE)
        )
    )


async def measure(folder: Path, rng: Random) -> Finding:
    with surroundings(folder) as (service, _):
        await subscribe_all(service.port, 0, WARM_UP)
        await asyncio.to_thread(
            eventually, lambda: not service.introspect()["subscribers"], what="the end"
        )
        before = memory(service)
        await subscribe_all(service.port, WARM_UP, WARM_UP + ENVIRONMENTS)
        await asyncio.to_thread(
            eventually, lambda: not service.introspect()["subscribers"], what="the end"
        )
        left = service.introspect()["environments"]
        after = memory(service)
    return Finding(
        f"{before:.1f} MB before, {after:.1f} MB after",
        unless(after - before < GROWTH_MB, f"memory grew by {after - before:.0f} MB")
        + unless(not left, f"{left} environments are still held"),
    )


MANY_ENVIRONMENTS = Scenario(
    "environments",
    "subscriptions to 200,000 different environments over time",
    "memory returns to its level",
    measure,
)
