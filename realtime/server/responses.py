"""How a response is written where uvicorn's own way does not do."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from realtime.http.tcp import hold_back

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

LAST_CHUNK: Final = b"0\r\n\r\n"

_CONTINUE: Final = b"HTTP/1.1 100 "


class _Transport(asyncio.Transport):
    """Stands in for the transport of one response."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class LastTransport(_Transport):
    """Sends a stream's last chunk and the connection's end in one packet.

    The head of the stream could not say yet that it would be the last. A client with a
    pool of connections that read the last chunk alone would send its next request
    before it hears of the end, and lose it.
    """

    __slots__ = ()

    def write(self, data: Any) -> None:
        if data.endswith(LAST_CHUNK) and not self._transport.is_closing():
            hold_back(self._transport.get_extra_info("socket"))
        self._transport.write(data)


class HeadKeeper(_Transport):
    """Stands in for a response's transport until its head can go out together with the
    first of its body: one write instead of two. ASGI has servers wait for that."""

    __slots__ = ("_cycle", "_head")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        super().__init__(cycle.transport)
        self._cycle = cycle
        self._head: bytes | None = None

    def write(self, data: Any) -> None:
        if self._head is not None:
            self._cycle.transport = self._transport
            self._transport.write(self._head + data)
        elif data.startswith(_CONTINUE):
            self._transport.write(data)
        else:
            self._head = data

    def close(self) -> None:
        if self._head is not None:
            self._transport.write(self._head)
        super().close()


class UnchunkedCycle(RequestResponseCycle):
    """A response without declared length, ended by closing the connection: HTTP/1.0
    knows no chunks, but uvicorn would send them."""

    async def send(self, message: "ASGISendEvent") -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", [])}
            if b"content-length" not in names:
                self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
        elif (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and not self.response_complete
            and self.expected_content_length > len(message.get("body", b""))
        ):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
