"""What Django's request handler serves; the real-time endpoints stand in
`realtime.routing`."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from flagsmith_sse import pages
from realtime.monitoring.exposition import metrics_view

handler404 = "flagsmith_sse.pages.not_found"
urlpatterns: list[URLPattern | URLResolver] = [*pages.urlpatterns()]
if not settings.METRICS_ADDR:
    urlpatterns.append(path("metricsz", require_safe(metrics_view), name="metrics"))
if settings.SSE_ADMIN_ENABLED:
    from django.contrib import admin

    admin.site.site_header = admin.site.site_title = "Flagsmith real-time updates"
    # There is no other site to view.
    admin.site.site_url = None
    urlpatterns += [
        path("admin", RedirectView.as_view(pattern_name="admin:index")),
        path("admin/", admin.site.urls),
    ]
