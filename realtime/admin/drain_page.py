"""The page that drains an instance."""

from http import HTTPStatus

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from realtime.admin.action_log import log_action, log_outcome
from realtime.admin.view_helpers import (
    fleet_report,
    realtime_settings,
    redirect,
    render,
    service_of,
    user_name,
)
from realtime.exceptions import NatsUnavailable
from realtime.fleet.messages import InstanceReport
from realtime.fleet.survey import drain_instance
from realtime.fleet.verdict.verdict import state_of

NO_ANSWER = "It does not answer."


@require_http_methods(["GET", "HEAD", "POST"])
def drain(request: HttpRequest, instance: str) -> HttpResponse:
    """Asks for confirmation, then drains the instance."""
    fleet = fleet_report(request)
    reports = {} if fleet.nats_error else {one.instance: one for one in fleet.instances}
    report = reports.pop(instance, None)
    if report is None or request.method != "POST":
        return render(
            request,
            "drain",
            title="Drain an instance",
            instance=report,
            name=instance,
            alone=all(state_of(other) != "ready" for other in reports.values()),
            error=fleet.nats_error or NO_ANSWER,
            status=HTTPStatus.OK if report else HTTPStatus.NOT_FOUND,
        )
    agreed, outcome = _drain(request, report)
    level = messages.SUCCESS if agreed else messages.ERROR
    messages.add_message(request, level, f"Drain of {report.name}: {outcome}")
    return redirect(request, "changelist")


def _drain(request: HttpRequest, report: InstanceReport) -> tuple[bool, str]:
    """Drain an instance, and log it: whether it agreed, and what comes of it."""
    entry = log_action(request, report.name, "Drain")
    outcome = NO_ANSWER
    try:
        agreed = async_to_sync(drain_instance)(
            realtime_settings(),
            report.instance,
            service_of(request),
            user_name(request),
        )
    except NatsUnavailable as error:
        agreed, outcome = False, str(error)
    if agreed and report.worker is None:
        outcome = "It ends its streams one after the other and stops."
    elif agreed:
        outcome = "Its supervisor replaces it."
    log_outcome(entry, outcome)
    return agreed, outcome
