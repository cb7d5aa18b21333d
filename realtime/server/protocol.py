"""uvicorn's HTTP/1.1 protocol with what it lacks for streams."""

import asyncio
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from realtime.http.asgi import CONNECTION, asks_for_stream
from realtime.http.tcp import end_output
from realtime.server.request_limits import LimitedProtocol
from realtime.server.responses import HeadKeeper, LastTransport, UnchunkedCycle
from realtime.server.small_objects import (
    CompactEvent,
    CompactFlowControl,
    CompactPipeline,
)
from realtime.server.stream_openings import Openings

PATIENT_BYTES: Final = 4096
"""A request that is larger is not kept until its stream can be opened."""


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
            self.cycle.transport = HeadKeeper(self.cycle)
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
