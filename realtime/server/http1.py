"""uvicorn's HTTP protocol with what HTTP/1.1 asks of a server beyond it."""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from realtime.http.asgi import asks_for_stream


class Refused(Exception):
    """Stops the parser: the request gets an error for its answer."""


class Http1Protocol(HttpToolsProtocol):
    """Ignores an `Upgrade`, demands a `Host`, and answers a client that has closed its
    side of the connection after it had sent its request."""

    __slots__ = ("_answering", "_complete")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._answering: RequestResponseCycle | None = None
        """The request that is being answered, or was last; others may wait behind."""
        self._complete = False
        """Whether the request that came last has come to its end."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    return
                except httptools.HttpParserUpgrade as offer:
                    data = self._head_without_offer() + data[offer.args[0] :]
        except httptools.HttpParserError:
            self.send_400_response("")

    def _head_without_offer(self) -> bytes:
        """The head of a request that offers to go on in another protocol, without the
        offer, to be parsed again: the parser leaves the body to the other protocol."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self.parser = httptools.HttpRequestParser(self)
        # As uvicorn does: of pipelined requests the first is answered whatever follows.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        self._complete = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise Refused
        if not self.parser.should_upgrade():
            self._check_host()
            self.on_head()

    def on_head(self) -> None:
        """A request's head has come: start to answer it, or put it into the queue."""
        super().on_headers_complete()

    def _check_host(self) -> None:
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() >= "1.1"):
            raise Refused

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._complete = True
            super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn returns nothing
        """The client sends no more. Returns whether the connection stays open, which it
        does until what was asked has been answered.

        An open or held stream ends: a client that has gone altogether looks the same,
        until something is written to it.
        """
        answering = self._answering
        if (
            answering is None
            or answering.response_complete
            or asks_for_stream(answering.scope)
        ):
            return False
        if self._complete:
            self.cycle.keep_alive = False
        elif answering is not self.cycle:
            answering.keep_alive = False
        else:
            return False  # the rest of its body will not come
        return True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)
