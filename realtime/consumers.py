"""The stream endpoint: one server-sent-events response per subscriber."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Final

from channels.consumer import AsyncConsumer

from realtime.asgi import Receive, Scope, Send, environment_in, service_in
from realtime.conf import jittered
from realtime.environments import is_environment_key
from realtime.http import (
    Header,
    HttpError,
    check_method,
    not_found,
    start_message,
    unavailable,
)
from realtime.portable_subscriber import PortableSubscriber
from realtime.service import RealtimeService
from realtime.updates import Frame, retry_frame

STREAM_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    # nginx buffers a response unless it is told not to.
    (b"x-accel-buffering", b"no"),
)


class EnvironmentStreamConsumer(AsyncConsumer):
    """`GET /sse/environments/{environment}/stream`.

    Channels' own `__call__` opens a channel and starts tasks for every client, and its
    `dispatch` hops to a thread for every message to close database connections. A
    stream needs neither: it registers with the hub and waits until the client has gone.
    """

    async def __call__(  # type: ignore[override]  # the stubs' scope is Channels' own
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        service = service_in(scope)
        environment = environment_in(scope)
        try:
            if not is_environment_key(environment):
                raise not_found()
            response = check_method(scope, ("GET", "HEAD"))
            if response is None:
                await self._stream(service, environment, scope, receive, send)
                return
        except HttpError as error:
            response = error.response
        await response(scope, send)

    async def _stream(
        self,
        service: RealtimeService,
        environment: str,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve the stream until its end.

        Raises `HttpError` 503, before anything was sent, if it cannot be served.
        """
        admitted: bool | None = False
        with outliving_cancellation(service):
            admitted = await service.admission.admitted(partial(gone, receive))
        if admitted is None:
            return
        if not admitted:
            reason = service.admission.refused() or "Try again."
            raise unavailable(reason, retry_after=service.settings.reject_delay)
        await send(start_message(scope, HTTPStatus.OK, STREAM_HEADERS))
        subscriber = PortableSubscriber(send)
        if scope["method"] == "HEAD":
            subscriber.end()
            return
        try:
            # No await from here to the write: there is no gap in which an update could
            # be neither the latest nor broadcast.
            latest = service.hub.subscribe(environment, subscriber)
            retry = retry_frame(int(jittered(service.settings.retry_milliseconds)))
            subscriber.write(
                Frame.of(retry.body + latest.body) if latest is not None else retry
            )
            ended = False
            while not ended:
                with outliving_cancellation(service):
                    await gone(receive)
                    ended = True
        finally:
            service.hub.unsubscribe(subscriber)


async def gone(receive: Receive) -> None:
    """Wait until the client has gone or the response is complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def outliving_cancellation(service: RealtimeService) -> Iterator[None]:
    """While the service drains, being cancelled just leaves this block.

    Daphne cancels every application on SIGTERM. That must not cut the streams off: the
    drain ends each in its turn, with its last chunk.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not service.draining or task is None:
            raise
        task.uncancel()
