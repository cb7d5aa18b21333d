"""Requests to where nothing of ours is: an SDK's or Flagsmith's base URL is wrong, a
proxy in front changes the path, or it holds what cannot be an environment key."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Final

import structlog

from realtime import metrics
from realtime.endpoints.held_requests import still_there
from realtime.endpoints.refused_publishes import note_refused
from realtime.http.asgi import Message, Receive, Scope, Send, asks_for_stream
from realtime.http.forget_request import forget_request
from realtime.http.view import View, not_found
from realtime.rate_limit import RateLimit
from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

LOGGED_CHARACTERS: Final = 100
"""Of a path."""

_logged = RateLimit(60)


class NotFound(View):
    """Answers whatever no other route takes below a prefix."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics.bad_requests["404"].inc()
        await not_found().response(scope, send)


class Misdirected:
    """Around the application of other paths, which may refuse what was meant for ours.

    Its answer to what would be a stream is passed on as late as a refusal of one of
    ours, if it is an error: some SDKs come back at once and for ever, whatever the
    answer was. A publish that it refuses is remembered like any other that is refused.
    """

    _asgi_single_callable = True  # asgiref's mark for what is no `async def`

    def __init__(self, service: RealtimeService, application: Any) -> None:
        self._service = service
        self._application = application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if asks_for_stream(scope):
            return self._pass_errors_on_late(scope, receive, send)
        path: str = scope["path"]
        if scope["method"] == "POST" and path.rstrip("/").endswith("/queue-change"):
            send = self._noting_refusal(scope, send)
        awaitable: Awaitable[None] = self._application(scope, receive, send)
        return awaitable

    async def _pass_errors_on_late(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        kept: list[Message] = []

        async def keep_error(message: Message) -> None:
            if kept or message.get("status", 0) >= HTTPStatus.BAD_REQUEST:
                # Until the application is done: it need not be there while this waits.
                kept.append(message)
            else:
                await send(message)

        await self._application(scope, receive, keep_error)
        if kept and await hold(self._service, scope, receive, send, "path"):
            start, *rest = kept
            headers = [*start["headers"], (b"connection", b"close")]
            for message in ({**start, "headers": headers}, *rest):
                await send(message)

    def _noting_refusal(self, scope: Scope, send: Send) -> Send:
        base = _base_of(scope)

        async def send_noting(message: Message) -> None:
            if message.get("status", 0) >= HTTPStatus.BAD_REQUEST:
                reason = f"Nothing can be published to {base}/…/queue-change."
                note_refused(self._service, scope, message["status"], reason)
            await send(message)

        return send_noting


async def hold(
    service: RealtimeService, scope: Scope, receive: Receive, send: Send, reason: str
) -> bool:
    """Hold a request for a stream that is about to be refused, count and log it.
    `reason` is one of `metrics.misdirected_streams`. Returns whether the client is
    still there."""
    metrics.misdirected_streams[reason].inc()
    if times := _logged.count(reason):
        where = _base_of(scope) + "/…/stream"
        logger.warning("stream.misdirected", reason=reason, path=where, times=times)
    forget_request(scope, send)
    return await still_there(service, receive)


def _base_of(scope: Scope) -> str:
    """The path without its last part and the environment's key before that, which may
    be a secret one."""
    path: str = scope["path"]
    return path.rstrip("/").rsplit("/", 2)[0][:LOGGED_CHARACTERS]
