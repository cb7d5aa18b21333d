"""What Django's request handler serves; the real-time endpoints stand in
`realtime.routing`."""

from django.urls import path
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

urlpatterns = [
    path("metricsz", require_safe(ExportToDjangoView), name="metrics"),
]
