"""Clients that keep their connection for the next request, as browsers, OkHttp, Go and
`requests.Session` do, beside others that do not; and what they are answered."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.service import TOKEN
from tests.support.waiting import eventually_async

WAIT_SECONDS = 10
PUBLISH_SECONDS = 0.02
"""Between two updates of one publisher."""

UPDATE = b'{"updated_at":1}'


class Client:
    """Asks for one thing after the other on one connection, for as long as the server
    keeps it; on a new one each time unless it is to be `kept`."""

    def __init__(self, base: str, context: ssl.SSLContext | None, *, kept: bool):
        parts = urlsplit(base)
        self._host, self._port, self._name = parts.hostname, parts.port, parts.netloc
        self._context = context
        self._kept = kept
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(
        self, request: str, headers: str = "", content: bytes = b""
    ) -> tuple[int, bool]:
        """Send a request; returns the status, and whether the response is chunked."""
        head = f"{request} HTTP/1.1\r\nHost: {self._name}\r\n{headers}\r\n"
        async with asyncio.timeout(WAIT_SECONDS):
            reused = self._reader is not None and not self._reader.at_eof()
            try:
                answer = await self._exchange(head.encode() + content)
            except (asyncio.IncompleteReadError, ConnectionError):
                if not reused or content:
                    raise
                # As every pool does with what may be asked twice.
                self.close()
                answer = await self._exchange(head.encode())
        self._closing = b"\r\nconnection: close\r\n" in answer
        self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in answer
        _, _, length = answer.partition(b"\r\ncontent-length: ")
        self._length = int(length.split(b"\r\n", 1)[0] or 0)
        return int(answer.split(b" ", 2)[1]), self._chunked

    async def _exchange(self, request: bytes) -> bytes:
        """Send `request`; returns the head of the response in lower case."""
        if self._reader is None or self._reader.at_eof():
            self.close()
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._context
            )
        assert self._writer is not None
        self._writer.write(request)
        return (await self._reader.readuntil(b"\r\n\r\n")).lower()

    async def body(self) -> bytes:
        """Read the response to its end; that of a stream is not kept."""
        reader = self._reader
        assert reader is not None
        body = b""
        if self._chunked:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(self._length)
        if self._closing or not self._kept:
            self.close()
        return body

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class Pooling:
    """Subscribers of `environment` at `base`, which ask again as soon as their stream
    ends, and publishers of it.

    `subscribed` and `published` count the answers: their status, of a publish with the
    body if it has one; or what went wrong. `streams` is how many are open.
    """

    def __init__(self, environment: str, subscribers: int) -> None:
        self._path = f"/sse/environments/{environment}"
        self._subscribers = subscribers
        self.subscribed: Counter[str] = Counter()
        self.published: Counter[str] = Counter()
        self.streams = 0

    async def all_open(self) -> None:
        """Wait until every subscriber has its stream."""
        await eventually_async(
            lambda: self.streams == self._subscribers, what="every stream"
        )

    async def subscribe(self, client: Client) -> None:
        while True:
            try:
                status, streaming = await client.ask(f"GET {self._path}/stream")
                self.subscribed[str(status)] += 1
                self.streams += streaming
                try:
                    await client.body()
                finally:
                    self.streams -= streaming
            except (OSError, EOFError, TimeoutError) as error:
                self.subscribed[type(error).__name__] += 1
                client.close()

    async def publish(self, client: Client) -> None:
        headers = (
            f"Authorization: Token {TOKEN}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(UPDATE)}\r\n"
        )
        while True:
            try:
                status, _ = await client.ask(
                    f"POST {self._path}/queue-change", headers, UPDATE
                )
                body = (await client.body()).decode()
                self.published[f"{status} {body}".strip()] += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.published[type(error).__name__] += 1
                client.close()
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
    """Run so many of each until the end of the block, half of either with kept
    connections. `authority` has signed the server's certificate. All streams are open
    when the block begins."""
    found = Pooling(environment, subscribers)
    context = ssl.create_default_context(cafile=authority) if authority else None
    works = [found.subscribe] * subscribers + [found.publish] * publishers
    clients = [Client(base, context, kept=n % 2 == 0) for n in range(len(works))]
    working = [
        asyncio.create_task(work(client))
        for work, client in zip(works, clients, strict=True)
    ]
    try:
        await found.all_open()
        yield found
    finally:
        for task in working:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*working, return_exceptions=True)
        for client in clients:
            client.close()
