"""Streams that are asked for where there is none: by an SDK whose base URL is wrong, or
for what cannot be an environment key."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Final

import structlog

from realtime import metrics
from realtime.endpoints.held_requests import still_there
from realtime.http.asgi import (
    Message,
    Receive,
    Scope,
    Send,
    asks_for_stream,
    service_in,
)
from realtime.http.forget_request import forget_request
from realtime.rate_limit import RateLimit

logger = structlog.get_logger("sse")

LOGGED_CHARACTERS: Final = 100
"""Of a path."""

_logged = RateLimit(60)


class MisdirectedStreams:
    """Around the application of other paths: its answer to what would be a stream is
    passed on as late as a refusal of one of ours, if it is an error. Some SDKs come
    back at once and for ever, whatever the answer was.
    """

    _asgi_single_callable = True  # asgiref's mark for what is no `async def`

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if asks_for_stream(scope):
            return self._watch(scope, receive, send)
        awaitable: Awaitable[None] = self._application(scope, receive, send)
        return awaitable

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def keep_error(message: Message) -> None:
            if kept or message.get("status", 0) >= HTTPStatus.BAD_REQUEST:
                # Until the application is done: it need not be there while this waits.
                kept.append(message)
            else:
                await send(message)

        await self._application(scope, receive, keep_error)
        if kept and await hold(scope, receive, send, "path"):
            start, *rest = kept
            headers = [*start["headers"], (b"connection", b"close")]
            for message in ({**start, "headers": headers}, *rest):
                await send(message)


async def hold(scope: Scope, receive: Receive, send: Send, reason: str) -> bool:
    """Hold a request that is about to be refused, count and log it. `reason` is one of
    `metrics.misdirected_streams`. Returns whether the client is still there."""
    metrics.misdirected_streams[reason].inc()
    if times := _logged.count(reason):
        # The environment's key, which stands before the last part, is left out: it may
        # be a secret one.
        base = scope["path"].rstrip("/").rsplit("/", 2)[0]
        where = base[:LOGGED_CHARACTERS] + "/…/stream"
        logger.warning("stream.misdirected", reason=reason, path=where, times=times)
    service = service_in(scope)
    forget_request(scope, send)
    return await still_there(service, receive)
