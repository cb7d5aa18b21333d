"""One HTTP/1.1 request on a connection of its own, and its response as it comes:
asyncio has no client for HTTP."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from email.parser import HeaderParser
from typing import Final

from realtime.http.url import HttpUrl

READ_BYTES: Final = 16_384

LONGEST_BODY: Final = 65_536
"""Of an answer that is no stream: ours have some 100 bytes, an error page more."""

NO_HTTP: Final = 599
"""The status of whatever is no HTTP: it is refused like an error."""

_STATUS: Final = re.compile(r"\S+ +(\d{3})\b", re.ASCII)


class HttpResponse:
    """A response whose head has come. What reads from it raises `OSError`, and
    `EOFError` if the connection ends too early."""

    def __init__(self, head: str, reader: asyncio.StreamReader) -> None:
        first, _, fields = head.partition("\r\n")
        status = _STATUS.match(first)
        self.status = int(status[1]) if status else NO_HTTP
        self._headers = HeaderParser().parsestr(fields)
        self._reader = reader

    def header(self, name: str) -> str:
        """The header `name`; empty if there is none."""
        return self._headers.get(name, "").strip()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, as it comes."""
        if "chunked" not in self.header("transfer-encoding").lower():
            while piece := await self._reader.read(READ_BYTES):
                yield piece
            return
        while left := await self._chunk_size():
            while left:
                piece = await self._reader.read(min(left, READ_BYTES))
                if not piece:
                    raise EOFError
                left -= len(piece)
                yield piece
            await _read_until(self._reader, b"\r\n")

    async def body(self) -> bytes:
        """The whole body, or as much of it as will do."""
        length = self.header("content-length")
        most = int(length) if re.fullmatch(r"[0-9]{1,9}", length) else LONGEST_BODY
        body = b""
        if most:
            with suppress(EOFError):
                async for piece in self.pieces():
                    body += piece
                    if len(body) >= min(most, LONGEST_BODY):
                        break
        return body

    async def _chunk_size(self) -> int:
        """0 at the end, or if it is no chunk: nothing that follows can be read then."""
        line = await _read_until(self._reader, b"\r\n")
        try:
            return max(0, int(line.partition(";")[0], 16))
        except ValueError:
            return 0


class HttpConnection:
    """A connection to the host of `url`, for one request."""

    def __init__(
        self, url: HttpUrl, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._url = url
        self._reader = reader
        self._writer = writer

    async def request(
        self, method: str, headers: Mapping[str, str], body: bytes = b""
    ) -> HttpResponse:
        """Send the request and wait for the response's head. Raises `EOFError` if the
        connection ends before it, and `OSError`."""
        fields = {
            "Host": self._url.authority,
            "Cache-Control": "no-cache",
            **headers,
        }
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {self._url.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = await _read_until(self._reader, b"\r\n\r\n")
        return HttpResponse(head, self._reader)

    def close(self) -> None:
        """End the connection, without waiting for what TLS has to say."""
        self._writer.transport.abort()


async def connect(url: HttpUrl, addresses: Sequence[str] = ()) -> HttpConnection:
    """A connection to `url` at the first of `addresses` that takes it, by default those
    of its host. Raises `OSError` if none does (`socket.gaierror`, `ssl.SSLError` and
    others)."""
    context = ssl.create_default_context() if url.tls else None
    errors: list[OSError] = []
    for address in addresses or await asyncio.to_thread(url.addresses):
        try:
            reader, writer = await asyncio.open_connection(
                address,
                url.port,
                ssl=context,
                server_hostname=url.host if context else None,
            )
        except OSError as error:
            errors.append(error)
        else:
            return HttpConnection(url, reader, writer)
    raise errors[0] if errors else OSError("it has no address")


async def _read_until(reader: asyncio.StreamReader, end: bytes) -> str:
    """What comes before `end`, 64 kB at most."""
    try:
        data = await reader.readuntil(end)
    except asyncio.IncompleteReadError:
        raise EOFError from None
    except asyncio.LimitOverrunError:
        raise ConnectionResetError("it is no HTTP") from None
    return data.removesuffix(end).decode("latin-1")
