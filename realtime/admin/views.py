"""The pages of the admin that show the fleet."""

from http import HTTPStatus

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from realtime.admin.answering import (
    agent_of,
    look,
    may_operate,
    realtime_settings,
    render,
    streams_base,
)
from realtime.admin.environment import environment_page
from realtime.admin.environments import asked_for
from realtime.admin.page import overview
from realtime.fleet.fleet_report import as_json


@require_safe
def health(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The overview."""
    return _overview(request, site, "health")


@require_safe
def live(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The part of the overview that changes, for its script."""
    return _overview(request, site, "report")


def _overview(request: HttpRequest, site: AdminSite, template: str) -> HttpResponse:
    report = look(request)
    return render(
        request,
        site,
        template,
        title="Real-time health",
        report=report,
        page=overview(report, may_operate=may_operate(request)),
    )


@require_safe
def report_json(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The same for machines."""
    return HttpResponse(as_json(look(request)), "application/json")


@require_safe
def environment(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """One environment on all instances. It asks them, and changes nothing."""
    key, fault = asked_for(request, "key")
    status, context = environment_page(
        key,
        realtime_settings(),
        agent_of(request),
        whole_keys=may_operate(request),
    )
    if fault:
        status, context["fault"] = HTTPStatus.NOT_FOUND, fault
    return render(request, site, "environment", status=status, **context)


@require_safe
def playground(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Subscribe and publish from the browser. Who may not see a whole key has to know
    it."""
    given = request.GET.get("environment", "")
    key, fault = asked_for(request, "environment") if may_operate(request) else ("", "")
    return render(
        request,
        site,
        "playground",
        title="Playground",
        environment=key if may_operate(request) else given,
        fault=fault,
        streams=f"{streams_base(request)}/sse/environments/",
    )


@require_safe
def runbook(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """What to do about what the overview finds."""
    return render(request, site, "runbook", title="Runbook")
