"""The routes that bypass Django's request handler, for Channels' `URLRouter`."""

from typing import Any

from django.urls import re_path

from realtime.consumers import EnvironmentStreamConsumer
from realtime.health import LivenessView, ReadinessView
from realtime.http import NotFound
from realtime.views import QueueChangeView


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
