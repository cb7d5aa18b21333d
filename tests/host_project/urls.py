"""Two views that publish, the metrics, and the project's own probes."""

from django.urls import path

from realtime.monitoring.exposition import metrics_view
from tests.host_project import views

urlpatterns = [
    path("publish/<str:environment>", views.publish),
    path("apublish/<str:environment>", views.apublish),
    path("metricsz", metrics_view),
    path("health/liveness/", views.liveness),
    path("readyz", views.readiness),
]
