"""What Django's request handler serves; the real-time endpoints stand in
`realtime.routing`."""

from django.conf import settings
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from realtime.exposition import metrics_view

urlpatterns: list[URLPattern] = []
if not settings.METRICS_ADDR:
    urlpatterns.append(path("metricsz", require_safe(metrics_view), name="metrics"))
