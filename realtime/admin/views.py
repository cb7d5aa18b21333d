"""The pages of the admin that show the fleet, and change nothing."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from realtime.admin.overview import overview
from realtime.admin.view_helpers import (
    ask,
    environment_key,
    fleet_report,
    may_operate,
    render,
    streams_base,
)
from realtime.environments import is_environment_key
from realtime.fleet.environment.report import survey_environment
from realtime.fleet.fleet_report import as_json
from realtime.fleet.key_shortening import shortened


def health(request: HttpRequest) -> HttpResponse:
    """The overview."""
    return _overview(request, "health")


def live(request: HttpRequest) -> HttpResponse:
    """The part of the overview that changes, for its script."""
    return _overview(request, "report")


def _overview(request: HttpRequest, template: str) -> HttpResponse:
    report = fleet_report(request)
    page = overview(report, may_operate=may_operate(request))
    return render(request, template, title="Real-time health", report=report, page=page)


def report_json(request: HttpRequest) -> HttpResponse:
    """The overview for machines."""
    return HttpResponse(as_json(fleet_report(request)), "application/json")


def environment(request: HttpRequest) -> HttpResponse:
    """One environment on all instances, which are asked. Who may not see whole keys
    finds none in the page, not even the one that was asked for."""
    key, fault = environment_key(request, "key")
    shown = key if may_operate(request) else shortened(key)
    status, report = HTTPStatus.OK, None
    if fault:
        status = HTTPStatus.NOT_FOUND
    elif key and not is_environment_key(key):
        status = HTTPStatus.BAD_REQUEST
        fault = f"{shown[:100]} cannot be an environment key."
    elif key:
        report = ask(request, survey_environment, key)
    return render(
        request,
        "environment",
        title="Environment",
        key=key if report and may_operate(request) else "",
        name=shown,
        report=report,
        fault=fault,
        status=status,
    )


def playground(request: HttpRequest) -> HttpResponse:
    """Subscribe and publish from the browser. Who may not see a whole key has to know
    it."""
    key, fault = request.GET.get("environment", ""), ""
    if may_operate(request):
        key, fault = environment_key(request, "environment")
    return render(
        request,
        "playground",
        title="Playground",
        environment=key,
        fault=fault,
        streams=f"{streams_base(request)}/sse/environments/",
    )


def runbook(request: HttpRequest) -> HttpResponse:
    """What to do about what the overview finds."""
    return render(request, "runbook", title="Runbook")
