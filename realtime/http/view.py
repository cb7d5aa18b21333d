"""Requests and responses of the endpoints that bypass Django's request handler, in the
shape of Django REST framework: its status codes, its JSON bodies."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from realtime.http.asgi import Receive, Scope, Send
from realtime.http.cors import cors_headers, is_preflight

Header = tuple[bytes, bytes]


def start_message(
    scope: Scope, status: int, headers: Iterable[Header]
) -> dict[str, Any]:
    """The ASGI message that starts a response, CORS headers included."""
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [*headers, *cors_headers(scope)],
    }


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of the header `name` (lower case); None if it was not sent."""
    headers: Iterable[Header] = scope["headers"]
    for key, value in headers:
        if key == name:
            return value
    return None


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. `body` is bytes as they are, or anything JSON can hold."""

    status: int
    body: object = b""
    headers: tuple[Header, ...] = ()

    async def __call__(self, scope: Scope, send: Send) -> None:
        if isinstance(self.body, bytes):
            content, headers = self.body, self.headers
        else:
            content = json.dumps(self.body, separators=(",", ":")).encode()
            headers = ((b"content-type", b"application/json"), *self.headers)
        length = (b"content-length", b"%d" % len(content))
        await send(start_message(scope, self.status, (*headers, length)))
        await send({"type": "http.response.body", "body": content, "more_body": False})


class HttpError(Exception):
    """An answer other than success, raised from wherever it is found out.

    `detail` is a text, or a mapping of fields to reasons. `close` ends the connection
    with the response.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str | dict[str, object],
        headers: tuple[Header, ...] = (),
        *,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        body = {"detail": detail} if isinstance(detail, str) else detail
        if close:
            headers = (*headers, (b"connection", b"close"))
        self.response = Response(status, body, headers)


def unavailable(detail: str, retry_after: float) -> HttpError:
    """503, to be tried again after `retry_after` seconds (rounded up, at least 1).

    The connection ends: kept alive, those that were turned away would fill the limit of
    open files.
    """
    seconds = max(1, -int(-retry_after // 1))
    return HttpError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail,
        ((b"retry-after", b"%d" % seconds),),
        close=True,
    )


def not_found(*, close: bool = False) -> HttpError:
    return HttpError(HTTPStatus.NOT_FOUND, "Not found.", close=close)


def check_method(scope: Scope, allowed: tuple[str, ...]) -> Response | None:
    """The answer to OPTIONS; None if the method is another of `allowed`.

    Raises `HttpError` 405 for any that is not.
    """
    method = scope["method"]
    allow = (b"allow", ", ".join((*allowed, "OPTIONS")).encode())
    if method == "OPTIONS":
        return Response(HTTPStatus.OK, headers=() if is_preflight(scope) else (allow,))
    if method not in allowed:
        raise HttpError(
            HTTPStatus.METHOD_NOT_ALLOWED, f'Method "{method}" not allowed.', (allow,)
        )
    return None


class View:
    """An endpoint that answers one request with one whole response."""

    methods: ClassVar[tuple[str, ...]] = ("GET", "HEAD")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(scope, receive)
        await response(scope, send)

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """The answer to any request."""
        try:
            return check_method(scope, self.methods) or await self.handle(
                scope, receive
            )
        except HttpError as error:
            return error.response

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        """The answer to a request of one of `methods`. Raises `HttpError`."""
        raise NotImplementedError


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole request body.

    Raises `HttpError` 413 as soon as it is over `limit` bytes, and 400 if the client
    went away before its end.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise HttpError(HTTPStatus.BAD_REQUEST, "The request ended early.")
        size += len(message["body"])
        if size > limit:
            raise too_large(limit)
        parts.append(message["body"])
        if not message.get("more_body"):
            return b"".join(parts)


def too_large(limit: int) -> HttpError:
    """413; the connection ends, so that the rest of the body need not be read."""
    return HttpError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"Request body too large: {limit} bytes at most.",
        close=True,
    )
