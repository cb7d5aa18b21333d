"""A rolling replacement, as its clients see it: what the requests are answered that
come back when their streams have ended."""

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.faults.scenarios.scenario import Finding, Scenario, unless
from tests.faults.scenarios.surroundings import surroundings
from tests.support.service import Service
from tests.support.waiting import eventually_async

CLIENTS = 200
"""Of either kind."""

DRAIN_SECONDS = 4.0
LAST_CHUNK = b"\r\n0\r\n\r\n"
REQUEST = b"GET /sse/environments/replaced/stream HTTP/1.1\r\nHost: x\r\n\r\n"
SETTLE_SECONDS = 60.0


class Client:
    """Holds a stream, and when that ends asks again: on the same connection while that
    is open if it is `pooled`, else on a new one. `answers` counts what it was answered,
    and streams that were cut."""

    def __init__(self, port: int, answers: Counter[str], *, pooled: bool) -> None:
        self._port = port
        self._answers = answers
        self._pooled = pooled
        self.streams = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with suppress(ConnectionError, EOFError):
                while await self._stream(reader, writer) and self._pooled:
                    pass
            writer.close()

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request on this connection; whether another may follow."""
        writer.write(REQUEST)
        # Where it was closed meanwhile no answer comes, and a pool takes another one.
        head = await reader.readuntil(b"\r\n\r\n")
        self._answers[head[9:12].decode()] += 1
        if not head.startswith(b"HTTP/1.1 200 "):
            return False
        self.streams += 1
        tail = b"\r\n"
        while not tail.endswith(LAST_CHUNK):
            received = await reader.read(65536)
            if not received:
                self._answers["cut"] += 1
                return False
            tail = (tail + received)[-len(LAST_CHUNK) :]
        return True


async def measure(folder: Path, rng: Random) -> Finding:
    drain = str(DRAIN_SECONDS)
    with surroundings(folder, server="workers", SSE_DRAIN_SECONDS=drain) as (
        service,
        _,
    ):
        counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        clients = [
            Client(service.port, counts[pooled], pooled=pooled)
            for pooled in (True, False)
            for _ in range(CLIENTS)
        ]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        await all_had(clients, 1)
        await asyncio.to_thread(replace, service)
        # Everybody's first worker is gone.
        await all_had(clients, 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    pooled, new = counts[True], counts[False]
    return Finding(
        f"of {CLIENTS} clients each, answers with pooled connections {told(pooled)}, "
        f"with new ones {told(new)}",
        unless(set(pooled) == {"200"}, f"pooled connections: {told(pooled)}")
        + unless(set(new) == {"200"}, f"new connections: {told(new)}"),
    )


async def all_had(clients: list[Client], streams: int) -> None:
    """Wait until each client has had so many."""
    await eventually_async(
        lambda: all(client.streams >= streams for client in clients),
        seconds=SETTLE_SECONDS,
        what="everybody's stream",
    )


def replace(service: Service) -> None:
    service.process.send_signal(signal.SIGHUP)
    service.await_logged("workers.replaced")


def told(answers: Counter[str]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(answers.items()))


REPLACEMENT = Scenario(
    "replacement",
    f"SIGHUP with two workers and {2 * CLIENTS} streams, of clients that pool their "
    "connections and of others",
    "no client is answered 503, no stream cut",
    measure,
)
