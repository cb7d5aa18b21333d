"""How a server hosts the service: by ASGI lifespan where it has that, on Twisted's
reactor under Daphne, which has not."""

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from realtime.endpoints.misdirected import Misdirected, NotFound
from realtime.http.asgi import SERVICE, Receive, Scope, Send
from realtime.http.idle_connections import close_idle, last_answer, linger
from realtime.routing import (
    FlatProtocolTypeRouter,
    FlatURLRouter,
    probe_urlpatterns,
    realtime_urlpatterns,
    route,
)
from realtime.server.daphne_connections import (
    answer_for_the_last_time,
    channels,
    close_idle_channel,
    idle_channels,
    listening_address,
)
from realtime.service import EXIT_CODE, RealtimeService


async def refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """There is no WebSocket endpoint; closing before accepting answers 403."""
    await send({"type": "websocket.close", "code": 1000, "reason": None})


def host(
    service: RealtimeService,
    django_application: Any,
    websocket: Any = refuse_websocket,
    *,
    probes: bool = False,
) -> FlatProtocolTypeRouter:
    """The application of a server: the real-time endpoints, `django_application` for
    every other path, and `websocket` for WebSockets. `probes` says whether `/livez`,
    `/readyz` and the paths of the Helm chart are ours too, or the project's own.

    To be called while the server imports its application, by any project's `asgi.py`.
    """
    if "daphne.server" in sys.modules:
        host_on_daphne(service)
    service.watches_fleet = apps.is_installed("django.contrib.admin")
    # A proxy in front would have matched another path than the one that is meant here.
    routes = [route(r"^([\s\S]*/)?\.\.?(/|\Z)", Misdirected(service, NotFound()))]
    routes += realtime_urlpatterns(service)
    if probes:
        routes += probe_urlpatterns(service)
    routes.append(route("", Misdirected(service, django_application)))
    return FlatProtocolTypeRouter(
        {
            "http": ServiceMiddleware(service, FlatURLRouter(routes)),
            "lifespan": Lifespan(service),
            "websocket": websocket,
        }
    )


def service_in(scope: Mapping[str, Any]) -> RealtimeService:
    """The service of this process, for a request that came through `host`."""
    service: RealtimeService = scope[SERVICE]
    return service


def hosted_service(application: Any) -> RealtimeService:
    """The service behind what `host` has composed. Raises `ImproperlyConfigured`."""
    protocols = getattr(application, "application_mapping", {})
    lifespan = protocols.get("lifespan")
    if not isinstance(lifespan, Lifespan):
        raise ImproperlyConfigured(
            "ASGI_APPLICATION names nothing that realtime.hosting.host has composed"
        )
    return lifespan.service


class ServiceMiddleware:
    """Puts the service into the scope of every request.

    Like the routers in `realtime.routing` it returns the inner application's coroutine
    instead of awaiting it in one of its own, which would last as long as the stream.
    """

    _asgi_single_callable = True  # asgiref's mark for what is no `async def`

    def __init__(self, service: RealtimeService, application: Any) -> None:
        self._service = service
        self._application = application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Where neither lifespan nor Twisted has started it, the first request does.
        self._service.start()
        if self._service.addresses.reached_at is None:
            self._service.addresses.note(scope)
        scope[SERVICE] = self._service
        if self._service.lifecycle.draining:
            # The client's next request is to reach a process that stays.
            send = last_answer(send)
        application: Awaitable[None] = self._application(scope, receive, send)
        return application


class Lifespan:
    """ASGI's lifespan protocol: starts and stops the service with the server."""

    def __init__(self, service: RealtimeService) -> None:
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.service.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.service.drain()
        await self.service.stop()
        await send({"type": "lifespan.shutdown.complete"})


def host_on_daphne(service: RealtimeService) -> None:
    """Start the service as soon as Daphne's event loop runs, and let its shutdown wait
    for the drain, and for connections that are kept alive to be closed.

    To be called while the application is imported. Daphne's own trigger, which cancels
    every application, is registered later and so fires after ours.
    """
    service.requests_are_cancelled = True
    # Zope interfaces look like classes to mypy, and their methods lack `self`.
    reactor: Any = importlib.import_module("twisted.internet.reactor")
    from twisted.internet.defer import Deferred

    service.addresses.ask_server = partial(listening_address, reactor)
    idle = partial(idle_channels, reactor)

    async def shut_down() -> None:
        await service.drain()
        # Also for what is still being answered.
        await linger(partial(channels, reactor))
        await service.stop()

    def on_shutdown() -> Deferred[None]:
        service.begin_drain()
        answer_for_the_last_time(reactor)
        service.keep_running("idle-connections", close_idle(idle, close_idle_channel))
        return Deferred.fromFuture(asyncio.ensure_future(shut_down()))

    def after_shutdown() -> None:
        if service.lifecycle.died:
            # Daphne's command line would exit with 0.
            sys.stdout.flush()
            logging.shutdown()
            os._exit(EXIT_CODE)

    reactor.callLater(0, service.start)
    reactor.addSystemEventTrigger("before", "shutdown", on_shutdown)
    reactor.addSystemEventTrigger("after", "shutdown", after_shutdown)
