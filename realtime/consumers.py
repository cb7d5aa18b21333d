"""The stream endpoint: one server-sent-events response per subscriber."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final

from channels.consumer import AsyncConsumer

from realtime import metrics
from realtime.backoff import jittered
from realtime.endpoints.held_requests import gone, outlived_cancellation, still_there
from realtime.endpoints.misdirected_streams import hold
from realtime.environments import is_environment_key
from realtime.http.asgi import (
    Receive,
    Scope,
    Send,
    asks_for_stream,
    connection_in,
    environment_in,
    service_in,
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
from realtime.sse.asgi_subscriber import PortableSubscriber
from realtime.sse.client_kind import client_kind
from realtime.sse.transport_subscriber import DirectSubscriber
from realtime.updates import retry_frame

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

    @classmethod
    def as_asgi(cls, **initkwargs: Any) -> Any:
        """One instance for all streams: it keeps nothing of them."""
        return cls(**initkwargs)

    def __call__(  # type: ignore[override]  # the stubs' scope is Channels' own
        self, scope: Scope, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        environment = environment_in(scope)
        if not is_environment_key(environment):
            return self._refuse(scope, receive, send)
        try:
            response = check_method(scope, ("GET", "HEAD"))
        except HttpError as error:
            response = error.response
        if response is not None:
            return response(scope, send)
        return self._stream(service_in(scope), environment, scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404: at once, unless it is what an SDK asks for again and again."""
        if not asks_for_stream(scope) or await hold(scope, receive, send, "key"):
            await not_found(close=True).response(scope, send)

    async def _stream(
        self,
        service: RealtimeService,
        environment: str,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve the stream until its end, or answer 503 if it cannot be served."""
        kind = client_kind(header(scope, b"user-agent"))
        forget_request(scope, send)
        refused = service.admission.refused
        if refused() is not None:
            # Nobody waits for a HEAD, nor comes back at once after it.
            if scope["method"] == "GET" and not await still_there(service, receive):
                return
            if refusal := refused():
                metrics.rejections[refusal.reason].inc()
                delay = service.settings.reject_delay
                await unavailable(refusal.detail, delay).response(scope, send)
                return
        await send(start_message(scope, HTTPStatus.OK, STREAM_HEADERS))
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        connection = connection_in(scope)
        subscriber = (
            DirectSubscriber(send, connection)
            if connection is not None and service.settings.direct_writes
            else PortableSubscriber(send)
        )
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
