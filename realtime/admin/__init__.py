"""The fleet in the Django admin: an entry of its index, and the pages behind it."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_safe

from realtime.admin import (
    action_log,
    instance_pages,
    probe_page,
    test_update_page,
    views,
)
from realtime.admin.view_helpers import OPERATE, VIEW, may_operate, streams_base
from realtime.models import Fleet

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Fleet]
else:
    _ModelAdmin = admin.ModelAdmin

_View = Callable[..., HttpResponse]


@admin.register(Fleet)
class FleetAdmin(_ModelAdmin):
    """Nothing can be added, changed or deleted; `view_fleet` is Django's own."""

    def get_urls(self) -> list[URLPattern]:
        """The pages, for those who may see the fleet, or act on it too."""
        return [
            self._page("", views.health, "changelist"),
            self._page("live/", views.live, "live"),
            self._page("report.json", views.report_json, "report"),
            self._page("environment/", views.environment, "environment"),
            self._page("playground/", views.playground, "playground"),
            self._page("runbook/", views.runbook, "runbook"),
            self._page("log/", action_log.log_page, "log"),
            self._action("test-update/", test_update_page.test_update, "test_update"),
            self._action("probe/", probe_page.probe, "probe"),
            self._action("drain/<slug:instance>/", instance_pages.drain, "drain"),
            self._action("dismiss/<slug:instance>/", instance_pages.dismiss, "dismiss"),
        ]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _page(self, route: str, view: _View, name: str) -> URLPattern:
        """A page that shows something."""
        return self._guarded(route, require_safe(view), name, VIEW)

    def _action(self, route: str, view: _View, name: str) -> URLPattern:
        """A page that does something when its form is posted."""
        allowed = require_http_methods(["GET", "HEAD", "POST"])
        return self._guarded(route, allowed(view), name, VIEW, OPERATE)

    def _guarded(
        self, route: str, view: _View, name: str, *permissions: str
    ) -> URLPattern:
        @wraps(view)
        def guarded(request: HttpRequest, **arguments: str) -> HttpResponse:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            request.current_app = self.admin_site.name
            response = view(request, **arguments)
            if isinstance(response, TemplateResponse):
                response.context_data = {
                    **self.admin_site.each_context(request),
                    "opts": self.opts,
                    "may_operate": may_operate(request),
                    **(response.context_data or {}),
                }
            response["Content-Security-Policy"] = _content_security_policy(request)
            return response

        guarded_by_admin = self.admin_site.admin_view(guarded)
        return path(route, guarded_by_admin, name=f"realtime_fleet_{name}")


def _content_security_policy(request: HttpRequest) -> str:
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
