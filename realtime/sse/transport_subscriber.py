"""A subscriber that writes to the connection itself, where the server offers it."""

from typing import Any, Final, Protocol

from realtime.http.asgi import Send
from realtime.http.tcp import seconds_since_confirmed
from realtime.sse.asgi_subscriber import PortableSubscriber
from realtime.updates import KEEPALIVE, Frame

WRITE_BUFFER_BYTES: Final = 4096
"""What a connection may hold unsent before it counts as backed up: some sixty updates,
of which only the newest would matter."""


class Transport(Protocol):
    """The part of asyncio's write transport that is used here."""

    def write(self, data: bytes) -> None: ...
    def abort(self) -> None: ...
    def get_extra_info(self, name: str) -> Any: ...
    def is_closing(self) -> bool: ...
    def set_write_buffer_limits(self, high: int) -> None: ...


class Flow(Protocol):
    """uvicorn's view of the transport's buffer."""

    @property
    def write_paused(self) -> bool: ...


class Connection(Protocol):
    """What the server's protocol class offers as an ASGI extension."""

    @property
    def transport(self) -> Transport: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def broke(self) -> bool: ...


class DirectSubscriber(PortableSubscriber):
    """One `transport.write` of bytes that were encoded once, chunk framing included.

    While the connection is backed up it is the portable subscriber: `send()` waits
    until the buffer has drained. The response starts and ends through `send()` too, so
    that the server knows what became of it.
    """

    __slots__ = ("_flow", "_transport")

    def __init__(self, send: Send, connection: Connection) -> None:
        super().__init__(send)
        self._flow = connection.flow
        self._transport = connection.transport
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def write(self, frame: Frame) -> None:
        if self._task is None and not self._flow.write_paused:
            try:
                self._transport.write(frame.chunk)
            except RuntimeError as error:  # uvloop: it was closed
                self._failed(error)
        else:
            super().write(frame)

    def keepalive(self) -> None:
        if self._task is None and not self._flow.write_paused:
            try:
                self._transport.write(KEEPALIVE.chunk)
            except RuntimeError as error:
                self._failed(error)

    def vanished(self, seconds: float) -> bool:
        connected = self._transport.get_extra_info("socket")
        return seconds_since_confirmed(connected) >= seconds

    def abort(self) -> None:
        self._transport.abort()
