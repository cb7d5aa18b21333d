"""`/metricsz` on a port of its own, in a thread: it answers whatever the event loop
does."""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.conf import settings

from realtime.monitoring.exposition import CONTENT_TYPE
from realtime.server.listener import listen

PATH: Final = "/metricsz"
CLIENT_SECONDS: Final = 10
"""For a client that connects and says nothing."""


def start_metrics_server(expose: Callable[[], bytes]) -> "MetricsServer | None":
    """Serve what `expose` returns on `METRICS_ADDR`; None if that is not set. Raises
    `CannotListen`."""
    address = getattr(settings, "METRICS_ADDR", "")
    if not address:
        return None
    return MetricsServer(listen(address, "METRICS_ADDR"), expose)


class MetricsServer:
    """Serves what `expose` returns, in the classic text format, on `listener`, until it
    is closed."""

    def __init__(self, listener: socket.socket, expose: Callable[[], bytes]) -> None:
        self._expose = expose
        self._server = _Server(listener)
        self._server.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop; returns when nothing listens any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if environ["PATH_INFO"] != PATH:
            start_response("404 Not Found", headers)
            return [f"Not found: the metrics are at {PATH}.\n".encode()]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [*headers, ("Allow", "GET, HEAD")])
            return [b"Method not allowed.\n"]
        try:
            body = self._expose() if environ["REQUEST_METHOD"] == "GET" else b""
        except TimeoutError:
            start_response("503 Service Unavailable", headers)
            return [b"The supervisor does not answer.\n"]
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [body]


class _Server(ThreadingMixIn, WSGIServer):
    """On a socket that listens already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for every scrape tells nobody anything."""
