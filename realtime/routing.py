"""The routes that bypass Django's request handler, for Channels' `URLRouter`."""

from django.urls import URLPattern, re_path

from realtime.consumers import EnvironmentStreamConsumer
from realtime.health import LivenessView, ReadinessView
from realtime.http import NotFound
from realtime.views import QueueChangeView


def realtime_urlpatterns() -> list[URLPattern]:
    """The documented endpoints, each with or without a trailing slash: a redirect would
    lose a POST. A key is matched whatever it holds, even a decoded `/`, so that a bad
    one gets these endpoints' own 404."""
    queue_change, stream = QueueChangeView(), EnvironmentStreamConsumer.as_asgi()
    livez, readyz = LivenessView(), ReadinessView()
    key = r"^sse/environments/(?P<environment>[\s\S]*)"
    return [
        re_path(key + r"/stream/?\Z", stream),
        re_path(key + r"/queue-change/?\Z", queue_change),
        re_path(r"^sse(/|\Z)", NotFound()),
        re_path(r"^livez/?\Z", livez),
        re_path(r"^readyz/?\Z", readyz),
        # The stock Flagsmith Helm chart's paths.
        re_path(r"^health/liveness/?\Z", livez),
        re_path(r"^health/readiness/?\Z", readyz),
    ]
