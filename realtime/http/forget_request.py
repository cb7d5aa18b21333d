"""What a request for a stream brought along and its answer does not need: it would be
kept for as long as the stream."""

from functools import partial
from typing import Any, Final

from realtime.http.asgi import Scope, Send
from realtime.http.cors import CORS_HEADERS, cors_headers

LOGGED_BYTES: Final = 512
"""Of the target, for Daphne's access log."""


def forget_request(scope: Scope, send: Send) -> None:
    """Drop the request's target, headers and body: a query alone may have 30 kB, and a
    browser sends a dozen headers. The response's CORS headers are kept."""
    scope[CORS_HEADERS] = cors_headers(scope)
    # `asks_for_stream` is still to say that it was one.
    scope.update(headers=(), path="/stream", raw_path=b"", query_string=b"")
    scope.pop("url_route", None)
    if isinstance(send, partial):
        _forget_on_daphne(*send.args)


def _forget_on_daphne(request: Any = None, *rest: object) -> None:
    """Daphne keeps all of it once more, in the request that its `send` is bound to."""
    # What is asked for here exists in a process that runs Daphne already.
    from daphne.http_protocol import WebRequest
    from twisted.web.http_headers import Headers

    if isinstance(request, WebRequest):
        request.uri = request.uri[:LOGGED_BYTES]
        request.path = request.path[:LOGGED_BYTES]
        request.query_string = b""
        request.args, request.clean_headers = {}, []
        request.requestHeaders = Headers()
        request.content.seek(0)
        request.content.truncate()
