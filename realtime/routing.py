"""The routes that bypass Django's request handler, for Channels' `URLRouter`."""

from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, Final

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import re_path

from realtime.consumers import EnvironmentStreamConsumer
from realtime.endpoints.health import LivenessView, ReadinessView
from realtime.endpoints.misdirected import Misdirected, NotFound
from realtime.http.asgi import Receive, Scope, Send
from realtime.service import RealtimeService
from realtime.views import QueueChangeView, RelayView

REMEMBERED_PATHS: Final = 4096
"""How many paths' routes are kept; more environments than that on one process are
looked up again, at some 5 µs each."""

LONGEST_REMEMBERED: Final = 160
"""Characters, some more than the longest of ours: a client must not fill the memory
with paths that it makes up."""


class FlatProtocolTypeRouter(ProtocolTypeRouter):
    """Channels' router, without a coroutine of its own around every stream."""

    _asgi_single_callable = True  # asgiref's mark for what is no `async def`

    def __call__(  # type: ignore[override]  # the stubs' scope is Channels' own
        self, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        application: Any = self.application_mapping[scope["type"]]
        awaitable: Awaitable[None] = application(scope, receive, send)
        return awaitable


class FlatURLRouter(URLRouter):
    """Channels' router, without a coroutine and a copy of the scope for every stream.

    The last route must match everything. The whole path is matched, whatever
    `root_path` says: Daphne takes that from a header that any client may send.
    """

    _asgi_single_callable = True

    def __init__(self, routes: list[Any]) -> None:
        super().__init__(routes)
        self._remembered = lru_cache(REMEMBERED_PATHS)(self._resolve)

    def __call__(  # type: ignore[override]  # the stubs' scope is Channels' own
        self, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        path = scope["path"]
        resolve = self._remembered if len(path) <= LONGEST_REMEMBERED else self._resolve
        application, args, kwargs = resolve(path)
        scope["url_route"] = {"args": args, "kwargs": kwargs}
        awaitable: Awaitable[None] = application(scope, receive, send)
        return awaitable

    def _resolve(self, path: str) -> tuple[Any, tuple[str, ...], dict[str, str]]:
        routes: list[Any] = self.routes
        for route in routes:
            if match := route.pattern.match(path.lstrip("/")):
                _, args, kwargs = match
                return route.callback, args, kwargs
        raise AssertionError("the last route matches everything")


def route(pattern: str, application: Any) -> Any:
    """A route to an ASGI application, where Django's own lead to views."""
    return re_path(pattern, application)


def realtime_urlpatterns(service: RealtimeService) -> list[Any]:
    """The documented endpoints below `/sse/`, each with or without a trailing slash: a
    redirect would lose a POST. A key is matched whatever it holds, even a decoded `/`,
    so that a bad one gets these endpoints' own 404."""
    stream = EnvironmentStreamConsumer.as_asgi(service=service)
    key = r"^sse/environments/(?P<environment>[\s\S]*)"
    return [
        route(key + r"/stream/?\Z", stream),
        route(key + r"/queue-change/?\Z", QueueChangeView(service)),
        route(key + r"/relay\Z", RelayView(service)),
        route(r"^sse(/|\Z)", Misdirected(service, NotFound())),
    ]


def probe_urlpatterns(service: RealtimeService) -> list[Any]:
    """Liveness and readiness of a server that does nothing else."""
    livez, readyz = LivenessView(service), ReadinessView(service)
    return [
        route(r"^livez/?\Z", livez),
        route(r"^readyz/?\Z", readyz),
        # The stock Flagsmith Helm chart's paths.
        route(r"^health/liveness/?\Z", livez),
        route(r"^health/readiness/?\Z", readyz),
    ]
