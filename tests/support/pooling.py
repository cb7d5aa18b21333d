"""Clients that keep their connections for the next request, as browsers, OkHttp, Go and
`requests.Session` do, beside others that do not; and what they are answered."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from tests.support.service import TOKEN
from tests.support.waiting import eventually_async

WAIT_SECONDS = 10
PUBLISH_SECONDS = 0.02
"""Between two updates of one publisher."""


class Pooling:
    """Subscribers of `environment` at `base`, which ask again as soon as their stream
    ends, and publishers of it; half of either with a pool of connections.

    `subscribed` and `published` count the answers: their status, of a publish with the
    body if it has one; or what went wrong.
    `streams` is how many are open.
    """

    def __init__(self, base: str, environment: str, subscribers: int) -> None:
        self._subscribers = subscribers
        self._url = f"{base}/sse/environments/{environment}"
        self.subscribed: Counter[str] = Counter()
        self.published: Counter[str] = Counter()
        self.streams = 0

    async def all_open(self) -> None:
        """Wait until every subscriber has its stream."""
        await eventually_async(
            lambda: self.streams == self._subscribers, what="every stream"
        )

    async def subscribe(self, client: httpx.AsyncClient) -> None:
        while True:
            try:
                async with client.stream("GET", f"{self._url}/stream") as response:
                    self.subscribed[str(response.status_code)] += 1
                    self.streams += 1
                    try:
                        async for _ in response.aiter_bytes():
                            pass
                    finally:
                        self.streams -= 1
            except httpx.TransportError as error:
                self.subscribed[type(error).__name__] += 1

    async def publish(self, client: httpx.AsyncClient) -> None:
        secret = {"Authorization": f"Token {TOKEN}"}
        while True:
            try:
                response = await client.post(
                    f"{self._url}/queue-change", json={"updated_at": 1}, headers=secret
                )
                outcome = f"{response.status_code} {response.text}".strip()
                self.published[outcome] += 1
            except httpx.TransportError as error:
                self.published[type(error).__name__] += 1
            await asyncio.sleep(PUBLISH_SECONDS)


@asynccontextmanager
async def pooling(
    base: str,
    environment: str,
    *,
    subscribers: int,
    publishers: int = 0,
    authority: Path | None = None,
) -> AsyncIterator[Pooling]:
    """Run so many of each until the end of the block. `authority` has signed the
    server's certificate. All streams are open when the block begins."""
    found = Pooling(base, environment, subscribers)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(_client(authority, kept))
            for kept in (None, 0)
        ]
        working = [
            asyncio.create_task(work(clients[number % 2]))
            for work, count in (
                (found.subscribe, subscribers),
                (found.publish, publishers),
            )
            for number in range(count)
        ]
        try:
            await found.all_open()
            yield found
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)


def _client(authority: Path | None, kept: int | None) -> httpx.AsyncClient:
    """A client that keeps so many connections for later; None: all."""
    return httpx.AsyncClient(
        verify=ssl.create_default_context(cafile=authority),
        timeout=WAIT_SECONDS,
        limits=httpx.Limits(max_keepalive_connections=kept),
    )
