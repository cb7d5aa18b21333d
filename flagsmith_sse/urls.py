"""What Django's request handler serves; the real-time endpoints stand in
`realtime.routing`."""

from django.urls import path
from django_prometheus.exports import ExportToDjangoView

urlpatterns = [
    path("metricsz", ExportToDjangoView, name="metrics"),
]
