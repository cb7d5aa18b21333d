"""The routes that bypass Django's request handler, for Channels' `URLRouter`."""

from collections.abc import Awaitable
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import re_path

from realtime.asgi import Receive, Scope, Send
from realtime.consumers import EnvironmentStreamConsumer
from realtime.health import LivenessView, ReadinessView
from realtime.http import NotFound
from realtime.views import QueueChangeView


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

    def __call__(  # type: ignore[override]  # the stubs' scope is Channels' own
        self, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        path = scope["path"].lstrip("/")
        routes: list[Any] = self.routes
        for route in routes:
            if match := route.pattern.match(path):
                _, args, kwargs = match
                scope["url_route"] = {"args": args, "kwargs": kwargs}
                application = route.callback
                break
        awaitable: Awaitable[None] = application(scope, receive, send)
        return awaitable


def route(pattern: str, application: Any) -> Any:
    """A route to an ASGI application, where Django's own lead to views."""
    return re_path(pattern, application)


def realtime_urlpatterns() -> list[Any]:
    """The documented endpoints, each with or without a trailing slash: a redirect would
    lose a POST. A key is matched whatever it holds, even a decoded `/`, so that a bad
    one gets these endpoints' own 404."""
    queue_change, stream = QueueChangeView(), EnvironmentStreamConsumer.as_asgi()
    livez, readyz = LivenessView(), ReadinessView()
    key = r"^sse/environments/(?P<environment>[\s\S]*)"
    return [
        route(key + r"/stream/?\Z", stream),
        route(key + r"/queue-change/?\Z", queue_change),
        route(r"^sse(/|\Z)", NotFound()),
        route(r"^livez/?\Z", livez),
        route(r"^readyz/?\Z", readyz),
        # The stock Flagsmith Helm chart's paths.
        route(r"^health/liveness/?\Z", livez),
        route(r"^health/readiness/?\Z", readyz),
    ]
