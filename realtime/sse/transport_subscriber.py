"""A subscriber that writes to the connection itself, where the server offers it."""

from typing import Final

from realtime.http.asgi import Connection, Send
from realtime.http.tcp import seconds_since_confirmed
from realtime.sse.asgi_subscriber import AsgiSubscriber
from realtime.sse.frames import KEEPALIVE, Frame

WRITE_BUFFER_BYTES: Final = 4096
"""What a connection may hold unsent before it counts as backed up: some sixty updates,
of which only the newest would matter."""


class TransportSubscriber(AsgiSubscriber):
    """One `transport.write` of bytes that were encoded once, chunk framing included.

    While the connection is backed up it goes over ASGI: `send()` waits until the buffer
    has drained. The response starts and ends through `send()` too, so that the server
    knows what became of it.
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
            self.write(KEEPALIVE)

    def vanished(self, seconds: float) -> bool:
        connected = self._transport.get_extra_info("socket")
        return seconds_since_confirmed(connected) >= seconds

    def abort(self) -> None:
        self._transport.abort()
