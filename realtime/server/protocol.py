"""uvicorn's HTTP/1.1 protocol with what it lacks for streams."""

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from realtime.http.asgi import CONNECTION, asks_for_stream
from realtime.http.tcp import end_output
from realtime.server.last_transport import LastTransport
from realtime.server.request_limits import LimitedProtocol
from realtime.server.small_objects import (
    CompactEvent,
    CompactFlowControl,
    CompactPipeline,
)
from realtime.server.stream_openings import Openings

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


PATIENT_BYTES: Final = 4096
"""A request that is larger is not kept until its stream can be opened."""

_CONTINUE: Final = b"HTTP/1.1 100 "


class StreamProtocol(LimitedProtocol):
    """Offers the connection to the application, and serves HTTP/1.0 clients a stream
    that they understand."""

    __slots__ = ("_openings", "broke")

    def __init__(self, *args: Any, openings: Openings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._openings = openings
        self.broke = False
        """Whether the connection ended in an error, not by the client's closing it."""
        self.pipeline: Any = CompactPipeline()

    def connection_made(  # type: ignore[override]  # as in uvicorn itself
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self.flow = CompactFlowControl(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.broke = exc is not None
        super().connection_lost(exc)
        # The request's references back to here would leave it to the garbage collector,
        # which stops everything for a second when thousands of clients have come and
        # gone at once.
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self.cycle = self.scope = self._answering = None  # type: ignore[assignment]  # as uvicorn itself has them at first

    def on_head(self) -> None:
        super().on_head()
        # The application's task has not run yet.
        self.cycle.message_event = CompactEvent()
        # The scope has them, for as long as the application wants them.
        self.headers, self.url = [], b""
        if self.scope["method"] != "HEAD":
            self.cycle.transport = _HeadKeeper(self.cycle)
        if self.scope["http_version"] == "1.0":
            self.cycle.__class__ = UnchunkedCycle
        else:
            self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]  # uvicorn's own are plain dicts

    @property
    def idle(self) -> bool:
        """Whether no request has come, or some of one, since the last answer."""
        answering = self._answering
        return (
            (answering is None or answering.response_complete)
            and not self._received
            and not self.transport.is_closing()
        )

    def close_after_answer(self) -> None:
        """Close the connection with the end of the response that is under way."""
        answering = self._answering
        if answering is None or answering.response_complete:
            return
        if answering.response_started and answering.keep_alive:
            answering.transport = LastTransport(answering.transport)
        answering.keep_alive = False

    def close_idle(self) -> None:
        """Close the connection, unless a request waits to be read."""
        if self.idle and end_output(self.transport.get_extra_info("socket")):
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        if asks_for_stream(cycle.scope) and self._received <= PATIENT_BYTES:
            self._openings.add(partial(self._open, cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def _open(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.disconnected:
            super()._start_asgi_task(cycle, app)


class _HeadKeeper(asyncio.Transport):
    """Stands in for a response's transport until its head can go out together with the
    first of its body: one write instead of two. ASGI has servers wait for that."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head: bytes | None = None
        self._transport = cycle.transport

    def write(self, data: Any) -> None:
        if self._head is None:
            if data.startswith(_CONTINUE):
                self._transport.write(data)
            else:
                self._head = data
            return
        self._cycle.transport = self._transport
        self._transport.write(self._head + data)

    def close(self) -> None:
        if self._head is not None:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


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
