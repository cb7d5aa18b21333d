"""How large a request may be, and how many may wait behind it."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from realtime import metrics
from realtime.http.asgi import asks_for_stream
from realtime.rate_limit import RateLimit
from realtime.server.connections import Connections
from realtime.server.http1 import Http1Protocol, Refused

HEAD_BYTES: Final = 32 * 1024
FIELDS: Final = 128
"""Of a head. An empty one takes 130 bytes of memory, and a browser sends some 30."""

REQUEST_BYTES: Final = 1024 * 1024
"""Head and body together; queue-change itself takes much less."""

PIPELINED: Final = 16
"""Requests that may wait behind the one that is being answered. Hardly any client sends
a second one; each of those that wait holds some 3 kB."""

PIPELINED_BEHIND_STREAM: Final = 1
HEAD_BYTES_BEHIND_STREAM: Final = 4096
"""The same behind an open stream, as long as which it would be kept."""

logger = structlog.get_logger("sse")

_BAD_REQUEST: Final = HTTPStatus.BAD_REQUEST
_HEAD_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


_logged = RateLimit(1)


class LimitedProtocol(Http1Protocol):
    """Refuses a request that is too large, too slow, or behind too many others, and
    tells a response that its client has gone even if another request waits behind it.

    `connections` are told what is expected of this one.
    """

    # Beyond thirty attributes, of which uvicorn has nearly as many, CPython gives each
    # instance a dictionary of its own: 1.3 kB more.
    __slots__ = ("_in_head", "_others", "_received", "_refusal")

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._others = connections
        self._received = 0  # bytes since the last request that was complete
        self._in_head = True
        self._refusal = _BAD_REQUEST

    def connection_made(  # type: ignore[override]  # as in uvicorn itself
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._others.unfinished[self] = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.unfinished.pop(self, None)
        # uvicorn tells the request that came last. Where requests are pipelined that is
        # not the one being answered, which would write to a closed connection, or, as
        # an open stream, never hear that its client has gone.
        answering = self._answering
        if answering is not None and not answering.response_complete:
            answering.disconnected = True
            answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        answering = self._answering
        if self._complete and answering and not answering.response_complete:
            self._received = 0
            self._others.unfinished.pop(self, None)
            return
        # Some of a request, or bytes of none: they have ended uvicorn's keep-alive
        # time.
        self._others.unfinished.setdefault(self, self.loop.time())
        if self._in_head and self._received > self._most_head_bytes:
            self.refuse(_HEAD_TOO_LARGE)
        elif self._received > REQUEST_BYTES:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._others.idle[self] = None

    def _unset_keepalive_if_required(self) -> None:
        self._others.idle.pop(self, None)
        super()._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # after a body: nobody asks for it, and an open stream would keep it
        if len(self.headers) >= FIELDS:
            self._refusal = _HEAD_TOO_LARGE
            raise Refused
        super().on_header(name, value)

    def on_head(self) -> None:
        self._in_head = False
        most = self._most_head_bytes
        if self._received > most and self._head_size() > most:
            self._refusal = _HEAD_TOO_LARGE
            raise Refused
        behind_stream = self._behind_stream
        super().on_head()
        most = PIPELINED_BEHIND_STREAM if behind_stream else PIPELINED
        if len(self.pipeline) > most:
            raise Refused

    def send_400_response(self, msg: str) -> None:
        self.refuse(self._refusal)

    def refuse(self, status: HTTPStatus) -> None:
        """Close the connection, with an answer if one is owed."""
        answering = self._answering
        owed = self._received > 0
        if owed:
            metrics.bad_requests[str(int(status))].inc()
            if times := _logged.count(status):
                logger.warning("request.refused", status=int(status), times=times)
        if answering is not None and not answering.response_complete:
            owed = not answering.response_started
            answering.disconnected = True
            answering.message_event.set()
        elif answering is not None and not self._in_head:
            owed = False  # what came late belongs to a request that has its answer
        if owed:
            text = status.phrase.encode()
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: text/plain\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n" % len(text)
                + text
            )
        self.transport.close()

    def expire(self) -> None:
        """The request took too long. A response that has begun, such as a stream, is
        left alone, whatever the client goes on sending."""
        answering = self._answering
        if not (
            answering and answering.response_started and not answering.response_complete
        ):
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    @property
    def _behind_stream(self) -> bool:
        """Whether a request that comes now waits for the end of a stream."""
        answering = self._answering
        return (
            answering is not None
            and not answering.response_complete
            and asks_for_stream(answering.scope)
        )

    @property
    def _most_head_bytes(self) -> int:
        return HEAD_BYTES_BEHIND_STREAM if self._behind_stream else HEAD_BYTES

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(v) + 4 for name, v in self.headers)
