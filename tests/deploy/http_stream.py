"""A subscriber over HTTP/1.1 or HTTP/2, with TLS where the URL says so."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

WAIT_SECONDS = 10


class HttpStream:
    """A stream that is open; `ended` once the response came to its proper end.
    `pieces` are what came so far, as it came."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.ended = False
        self.pieces: list[str] = []
        self._bytes = response.aiter_bytes()
        self._text = ""

    async def next_block(self) -> str:
        """The next event, comment or `retry:`, with its empty line. Raises `EOFError`
        at the end."""
        async with asyncio.timeout(WAIT_SECONDS):
            while "\n\n" not in self._text:
                try:
                    self.pieces.append((await anext(self._bytes)).decode())
                except StopAsyncIteration:
                    self.ended = True
                    raise EOFError from None
                self._text += self.pieces[-1]
        block, _, self._text = self._text.partition("\n\n")
        return block + "\n\n"

    async def next_event(self) -> str:
        while not (block := await self.next_block()).startswith("event:"):
            pass
        return block


@asynccontextmanager
async def http_client(
    authority: Path | None, http2: bool
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that trusts `authority` and speaks HTTP/2, or never."""
    context = ssl.create_default_context(cafile=authority)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        verify=context,
        http1=not http2,
        http2=http2,
        timeout=WAIT_SECONDS,
        limits=limits,
    ) as client:
        yield client


@asynccontextmanager
async def open_stream(
    client: httpx.AsyncClient, url: str, headers: dict[str, str] | None = None
) -> AsyncIterator[HttpStream]:
    async with client.stream("GET", url, headers=headers) as response:
        yield HttpStream(response)
