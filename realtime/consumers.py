"""The stream endpoint: one server-sent-events response per subscriber."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final

from channels.consumer import AsyncConsumer

from realtime import metrics
from realtime.backoff import jittered
from realtime.endpoints.held_requests import gone, outlived_cancellation, still_there
from realtime.endpoints.misdirected import hold
from realtime.environments import is_environment_key
from realtime.http.asgi import (
    Connection,
    Receive,
    Scope,
    Send,
    asks_for_stream,
    connection_in,
    environment_in,
)
from realtime.http.forget_request import forget_request
from realtime.http.view import (
    Header,
    HttpError,
    check_method,
    header,
    not_found,
    start_message,
    unavailable,
)
from realtime.service import RealtimeService
from realtime.sse.asgi_subscriber import AsgiSubscriber
from realtime.sse.client_kind import client_kind
from realtime.sse.frames import retry_frame
from realtime.sse.transport_subscriber import TransportSubscriber

STREAM_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/event-stream"),
    # A proxy that compresses would hold back the first half kilobyte.
    (b"cache-control", b"no-cache, no-transform"),
    # nginx buffers a response unless it is told not to.
    (b"x-accel-buffering", b"no"),
)


class EnvironmentStreamConsumer(AsyncConsumer):
    """`GET /sse/environments/{environment}/stream`.

    Channels' own `__call__` opens a channel and starts tasks for every client, and its
    `dispatch` hops to a thread for every message to close database connections. A
    stream needs neither: it registers with the hub and waits until the client has gone.
    It is one coroutine, because each more would cost every open stream half a kilobyte.
    """

    def __init__(self, service: RealtimeService) -> None:
        self._service = service

    @classmethod
    def as_asgi(cls, **initkwargs: Any) -> Any:
        """One instance for all streams: it keeps nothing of them."""
        return cls(**initkwargs)

    def __call__(  # type: ignore[override]  # the stubs' scope is Channels' own
        self, scope: Scope, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        environment = environment_in(scope)
        if not is_environment_key(environment):
            return self._answer_not_found(scope, receive, send)
        try:
            response = check_method(scope, ("GET", "HEAD"))
        except HttpError as error:
            response = error.response
        if response is not None:
            return response(scope, send)
        return self._stream(environment, scope, receive, send)

    async def _answer_not_found(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer 404: at once, unless it is what an SDK asks for again and again."""
        if not asks_for_stream(scope) or await hold(
            self._service, scope, receive, send, "key"
        ):
            await not_found(close=True).response(scope, send)

    async def _stream(
        self, environment: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve the stream until its end, or answer 503 if it cannot be served."""
        service = self._service
        kind = client_kind(header(scope, b"user-agent"))
        forget_request(scope, send)
        if service.admission.refused() is not None and not await self._admitted_late(
            scope, receive, send
        ):
            return
        await send(start_message(scope, HTTPStatus.OK, STREAM_HEADERS))
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        connection = connection_in(scope)
        subscriber = self._subscriber(send, connection)
        subscriber.client = kind
        try:
            # No await from here to the write: there is no gap in which an update could
            # be neither the latest nor broadcast.
            latest = service.hub.subscribe(environment, subscriber)
            retry = retry_frame(int(jittered(service.settings.retry_milliseconds)))
            subscriber.start(retry if latest is None else retry + latest)
            while True:
                try:
                    await gone(receive)
                except asyncio.CancelledError:
                    if not outlived_cancellation(service):
                        raise
                    continue
                return
        finally:
            broke = connection is not None and connection.broke
            service.hub.unsubscribe(subscriber, "error" if broke else "client")

    async def _admitted_late(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Hold a request that cannot be served now, and answer it with 503 if it still
        cannot be then; returns whether it can."""
        # Nobody waits for a HEAD, nor comes back at once after it.
        if scope["method"] == "GET" and not await still_there(self._service, receive):
            return False
        refusal = self._service.admission.refused()
        if refusal is None:
            return True
        metrics.rejections[refusal.reason].inc()
        delay = self._service.settings.reject_delay
        await unavailable(refusal.detail, delay).response(scope, send)
        return False

    def _subscriber(self, send: Send, connection: Connection | None) -> AsgiSubscriber:
        if connection is not None and self._service.settings.direct_writes:
            return TransportSubscriber(send, connection)
        return AsgiSubscriber(send)
