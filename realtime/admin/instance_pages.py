"""The pages that act on one instance: drain it, or, if it died, dismiss it, so that
nobody expects it back."""

import time
from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from realtime.admin.action_log import log_action, log_outcome
from realtime.admin.view_helpers import (
    ask,
    fleet_report,
    redirect,
    remember,
    render,
    user_name,
)
from realtime.exceptions import NatsUnavailable
from realtime.fleet.messages import InstanceReport
from realtime.fleet.survey import drain_instance
from realtime.fleet.timeline.events import MOST_WORDS, Dismissed
from realtime.fleet.verdict.verdict import state_of

NO_ANSWER = "It does not answer."


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
        by = user_name(request)
        agreed = ask(request, drain_instance, report.instance, by=by)
    except NatsUnavailable as error:
        agreed, outcome = False, str(error)
    if agreed and report.worker is None:
        outcome = "It ends its streams one after the other and stops."
    elif agreed:
        outcome = "Its supervisor replaces it."
    log_outcome(entry, outcome)
    return agreed, outcome


def dismiss(request: HttpRequest, instance: str) -> HttpResponse:
    """Asks for confirmation, then tells all instances not to expect one back."""
    report = fleet_report(request)
    names = {death.sighting.instance: death.sighting.name for death in report.dead}
    name = names.get(instance)
    if name is None or request.method != "POST":
        return render(
            request,
            "dismiss",
            title="Dismiss an instance",
            instance=instance,
            name=name,
            error=report.nats_error or "It is not among those that died.",
            status=HTTPStatus.OK if name else HTTPStatus.NOT_FOUND,
        )
    entry = log_action(request, name, "Dismissal")
    remembered = remember(
        request,
        Dismissed(
            seen_by="admin",
            at=time.time(),
            instance=instance,
            name=name[:MOST_WORDS],
            by=user_name(request),
        ),
    )
    outcome = "It is not expected back." if remembered else "No instance has heard it."
    log_outcome(entry, outcome)
    level = messages.SUCCESS if remembered else messages.ERROR
    messages.add_message(request, level, f"Dismissal of {name}: {outcome}")
    return redirect(request, "changelist")
