"""One HTTP/1.1 request on a connection of its own, and its response as it comes."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from realtime.loadtest.decoder import StreamDecoder
from realtime.loadtest.target import Target

READ_BYTES: Final = 16_384

LONGEST_BODY: Final = 65_536
"""Of an answer that is no stream: ours have some 100 bytes, an error page more."""

LONGEST_HEAD: Final = 65_536


class Exchange:
    """`status` and `header` are the response's, once `head` has returned."""

    def __init__(
        self,
        target: Target,
        agent: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._target = target
        self._agent = agent
        self._reader = reader
        self._writer = writer
        self._decoder = StreamDecoder()
        self._headers: dict[str, str] = {}
        self._body = b""
        self._received = 0

    def send(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> None:
        """Send the request."""
        fields = {
            "Host": self._target.authority,
            "User-Agent": self._agent,
            "Cache-Control": "no-cache",
            **headers,
        }
        if body is not None:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {self._target.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    @property
    def status(self) -> int:
        return self._decoder.status

    def header(self, name: str) -> str:
        """The response's header `name` (lower case); empty if it has none."""
        return self._headers.get(name, "")

    async def head(self) -> None:
        """Wait for the head. Raises `EOFError` if the connection ends before it, and
        `OSError`."""
        while not self._decoder.status:
            self._body += await self._read()
        for line in self._decoder.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            self._headers[name.strip().lower()] = value.strip()

    async def body(self) -> bytes:
        """The whole body, or as much of it as will do. Raises `OSError`."""
        body = self._body
        length = self.header("content-length")
        most = int(length) if length.isdecimal() else LONGEST_BODY
        try:
            while len(body) < min(most, LONGEST_BODY) and not self._decoder.ended:
                body += await self._read()
        except EOFError:
            pass
        return body

    async def updates(self) -> list[float]:
        """The updates that the next piece of the stream completes; the first piece may
        have come with the head. Raises `EOFError` at the stream's end, and `OSError`.
        """
        piece, self._body = self._body, b""
        while not piece:
            if self._decoder.ended:
                raise EOFError
            piece = await self._read()
        return self._decoder.updates(piece)

    async def _read(self) -> bytes:
        """What the next read adds to the body."""
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise EOFError
        piece = self._decoder.body(data)
        self._received += len(data)
        if not self._decoder.status and self._received > LONGEST_HEAD:
            raise ConnectionResetError("it is no HTTP")
        return piece


@asynccontextmanager
async def exchange(
    target: Target, agent: str, addresses: Sequence[str] = ()
) -> AsyncIterator[Exchange]:
    """A connection to `target`, of a client that calls itself `agent`: at the first of
    `addresses` that takes it, by default those of its host. Raises `OSError` if none
    does (`socket.gaierror`, `ssl.SSLError` and others)."""
    context = ssl.create_default_context() if target.tls else None
    error: OSError | None = None
    for address in addresses or await _addresses(target):
        try:
            reader, writer = await asyncio.open_connection(
                *(address, target.port),
                ssl=context,
                server_hostname=target.host if context else None,
            )
        except OSError as failed:
            error = error or failed
            continue
        break
    else:
        raise error or OSError("it has no address")
    try:
        yield Exchange(target, agent, reader, writer)
    finally:
        if context:
            # To close it would wait for what TLS has to say.
            writer.transport.abort()
        else:
            writer.close()


async def _addresses(target: Target) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    # IPv4 before IPv6, as the load test has it: most proxies listen there.
    ordered = sorted(found, key=lambda one: one[0])
    return list(dict.fromkeys(str(where[0]) for *_, where in ordered))
