"""The addresses of the fleet's pages, and what holds for all of them: who may see them,
and what a browser may load."""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import URLPattern, path

from realtime.admin import actions, dismissal, log, probe, views
from realtime.admin.answering import OPERATE, VIEW, streams_base

_View = Callable[..., HttpResponse]


def fleet_urls(site: AdminSite) -> list[URLPattern]:
    """The pages' URLs, for those who may see the fleet, or act on it too."""

    def page(route: str, view: _View, name: str, *more_permissions: str) -> URLPattern:
        @wraps(view)
        def guarded(request: HttpRequest, **arguments: str) -> HttpResponse:
            if not request.user.has_perms((VIEW, *more_permissions)):
                raise PermissionDenied
            response = view(request, site, **arguments)
            response["Content-Security-Policy"] = _policy(request)
            return response

        return path(route, site.admin_view(guarded), name=f"realtime_fleet_{name}")

    return [
        page("", views.health, "changelist"),
        page("live/", views.live, "live"),
        page("report.json", views.report_json, "report"),
        page("environment/", views.environment, "environment"),
        page("playground/", views.playground, "playground"),
        page("runbook/", views.runbook, "runbook"),
        page("log/", log.log_page, "log"),
        page("test-update/", actions.test_update, "test_update", OPERATE),
        page("probe/", probe.probe_page, "probe", OPERATE),
        page("drain/<slug:instance>/", actions.drain, "drain", OPERATE),
        page("dismiss/<slug:instance>/", dismissal.dismiss, "dismiss", OPERATE),
    ]


def _policy(request: HttpRequest) -> str:
    """Nothing inline, nothing from elsewhere but what this project has there."""
    files = _origin(static("realtime/fleet.js"))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self'{files}",
            f"style-src 'self'{files}",
            f"img-src 'self'{files}",
            f"connect-src 'self'{_origin(streams_base(request))}",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
