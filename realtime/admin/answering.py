"""What every page of the fleet's needs: who asks, whom it asks, and how it answers."""

from http import HTTPStatus
from typing import Final

from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from realtime.conf import RealtimeSettings
from realtime.fleet.agent import Agent
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.overview import gather
from realtime.http.asgi import SERVICE
from realtime.models import Fleet
from realtime.service import RealtimeService

VIEW: Final = "realtime.view_fleet"
OPERATE: Final = "realtime.operate_fleet"


def may_operate(request: HttpRequest) -> bool:
    """Whether the user may act on the fleet, and see whole environment keys."""
    return request.user.has_perm(OPERATE)


def look(request: HttpRequest) -> FleetReport:
    """The fleet now."""
    return async_to_sync(gather)(realtime_settings(), agent_of(request))


def service_of(request: HttpRequest) -> RealtimeService | None:
    """This process's own service, if it runs one."""
    service: RealtimeService | None = getattr(request, "scope", {}).get(SERVICE)
    return service


def agent_of(request: HttpRequest) -> Agent | None:
    """What asks the fleet for this process, if it runs a service."""
    service = service_of(request)
    return service.agent if service else None


def realtime_settings() -> RealtimeSettings:
    return RealtimeSettings.from_django(hosting=False)


def streams_base(request: HttpRequest) -> str:
    """Where a browser finds the streams: here, if this process serves them."""
    if service_of(request) is not None:
        return ""
    base: str = getattr(django_settings, "SSE_SERVER_BASE_URL", "")
    return base.rstrip("/")


def render(
    request: HttpRequest,
    site: AdminSite,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **context: object,
) -> HttpResponse:
    return TemplateResponse(
        request,
        f"admin/realtime/fleet/{template}.html",
        {
            **site.each_context(request),
            "opts": Fleet._meta,
            "may_operate": may_operate(request),
            **context,
        },
        status=status,
    )


def redirect(site: AdminSite, page: str, query: str = "") -> HttpResponse:
    url = reverse(f"admin:realtime_fleet_{page}", current_app=site.name)
    return HttpResponseRedirect(f"{url}?{query}" if query else url)
