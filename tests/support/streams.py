"""A subscriber for tests: reads a stream and keeps the boundaries of its bytes."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

WAIT_SECONDS = 10


class Stream:
    """One open stream, on a plain socket.

    `chunks` are the bodies of the HTTP chunks as they came (of the network reads, if
    the response is not chunked); `reads` are the network's reads, HTTP framing
    included. `status` and `headers` (lower case) are those of the response.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        method: str = "GET",
        version: str = "1.1",
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/{version}", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._received = b""
        self._text = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.reads: list[bytes] = []
        self.ended = False
        """A proper end was seen: the final chunk, or for HTTP/1.0 the closing."""
        self.closed = False
        """The server closed the connection."""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port
        )
        self._writer.write(self._request)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while b"\r\n\r\n" not in self._received:
                    await self._read()
                    if self.closed:
                        raise ConnectionError(f"closed after {self._received!r}")
        except BaseException:
            self._writer.close()
            raise
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.version, status = first.split(" ")[:2]
        self.status = int(status)
        for line in rest:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self._parse()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def next_block(self, seconds: float = WAIT_SECONDS) -> str:
        """The next block of the stream (an event, a comment or a retry) with its empty
        line. Raises `TimeoutError`, and `EOFError` at the end of the stream."""
        async with asyncio.timeout(seconds):
            while b"\n\n" not in self._text:
                if self.ended or self.closed:
                    raise EOFError
                await self._read()
                self._parse()
        block, _, self._text = self._text.partition(b"\n\n")
        return block.decode() + "\n\n"

    async def next_event(self, seconds: float = WAIT_SECONDS) -> str:
        """The next block that is an event; comments and `retry:` are passed over."""
        async with asyncio.timeout(seconds):
            while not (block := await self.next_block()).startswith("event:"):
                pass
        return block

    async def until_end(self, seconds: float = WAIT_SECONDS) -> None:
        """Read until the response or the connection ends."""
        async with asyncio.timeout(seconds):
            while not (self.ended or self.closed):
                await self._read()
                self._parse()

    async def _read(self) -> None:
        data = await self._reader.read(65536)
        if data:
            self.reads.append(data)
            self._received += data
        else:
            self.closed = True
            if self.headers and "transfer-encoding" not in self.headers:
                self.ended = True

    def _parse(self) -> None:
        if self.headers.get("transfer-encoding") != "chunked":
            if self._received:
                self.chunks.append(self._received)
                self._text += self._received
                self._received = b""
            return
        while b"\r\n" in self._received:
            size_text, _, rest = self._received.partition(b"\r\n")
            size = int(size_text, 16)
            if len(rest) < size + 2:
                return
            assert rest[size : size + 2] == b"\r\n", self._received
            self._received = rest[size + 2 :]
            if size == 0:
                self.ended = True
                return
            self.chunks.append(rest[:size])
            self._text += rest[:size]


def event(updated_at: str) -> str:
    """The documented frame for the JSON number `updated_at`."""
    return f'event: environment_updated\ndata: {{"updated_at":{updated_at}}}\n\n'
