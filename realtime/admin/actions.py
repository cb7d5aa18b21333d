"""The pages of the admin that act on the fleet, each after a confirmation."""

import time
from http import HTTPStatus
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from realtime.admin.answering import (
    agent_of,
    look,
    realtime_settings,
    redirect,
    render,
    service_of,
)
from realtime.admin.dismissal import let_remember, user_name
from realtime.admin.environments import asked_for
from realtime.admin.log import log_action, log_outcome
from realtime.admin.outcome import outcome_of
from realtime.environments import is_environment_key
from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.fleet.environment.round_trip import send_test_update
from realtime.fleet.key_shortening import shortened, without_whole_keys
from realtime.fleet.messages import InstanceReport
from realtime.fleet.survey import drain_instance
from realtime.fleet.timeline.events import TestUpdate
from realtime.fleet.verdict.verdict import state_of
from realtime.fleet.wire_types import LONGEST_TEXT


@require_http_methods(["GET", "HEAD", "POST"])
def test_update(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Asks for an environment, asks for confirmation, sends. The playground's script,
    which asks by itself, gets the outcome as JSON."""
    posted = request.method == "POST"
    by_script = request.headers.get("Accept") == "application/json"
    environment, fault = request.POST.get("environment", "").strip(), ""
    if not posted:
        environment, fault = asked_for(request, "environment")
    if posted and by_script and not is_environment_key(environment):
        return JsonResponse(
            {
                "outcome": f"Not sent. {environment} cannot be an environment key.",
                "level": "error",
                "updated_at": None,
            },
            status=HTTPStatus.BAD_REQUEST,
        )
    if not posted or not is_environment_key(environment):
        return render(
            request,
            site,
            "test_update",
            title="Send a test update",
            environment=environment,
            fault=fault,
            valid=is_environment_key(environment),
            status=HTTPStatus.BAD_REQUEST if posted else HTTPStatus.OK,
        )
    level, outcome, updated_at = _send(request, environment)
    if by_script:
        return JsonResponse(
            {
                "outcome": outcome,
                "level": messages.DEFAULT_TAGS[level],
                "updated_at": updated_at,
            }
        )
    messages.add_message(request, level, f"Test update of {environment}: {outcome}")
    query = urlencode({"environment": environment})
    return redirect(site, "test_update", query)


def _send(request: HttpRequest, environment: str) -> tuple[int, str, float | None]:
    """Send a test update of `environment`, and remember that the user did: how well it
    went, as a level of Django's messages and in words, and the time that it carried."""
    entry = log_action(request, environment, "Test update")
    service, updated_at = service_of(request), None
    try:
        trip = async_to_sync(send_test_update)(
            realtime_settings(),
            environment,
            agent_of(request),
            service.bridge.publish if service else None,
        )
        (level, outcome), updated_at = outcome_of(trip), trip.updated_at
    except NatsUnavailable as error:
        level, outcome = messages.ERROR, f"Not sent. {error}"
    except PublishFailed as error:
        level, outcome = messages.ERROR, f"Not confirmed. {error}"
    log_outcome(entry, outcome)
    let_remember(
        request,
        TestUpdate(
            seen_by="admin",
            at=time.time(),
            environment=shortened(environment),
            by=user_name(request),
            outcome=without_whole_keys(outcome)[:LONGEST_TEXT],
        ),
    )
    return level, outcome, updated_at


@require_http_methods(["GET", "HEAD", "POST"])
def drain(request: HttpRequest, site: AdminSite, instance: str) -> HttpResponse:
    """Asks for confirmation, then drains the instance."""
    fleet = look(request)
    found = [one for one in fleet.instances if one.instance == instance]
    if fleet.nats_error or not found or request.method != "POST":
        report = None if fleet.nats_error or not found else found[0]
        return render(
            request,
            site,
            "drain",
            title="Drain an instance",
            instance=report,
            name=instance,
            alone=_others_ready(fleet.instances, instance) == 0,
            error=fleet.nats_error or "It does not answer.",
            status=HTTPStatus.OK if report else HTTPStatus.NOT_FOUND,
        )
    report = found[0]
    agreed, outcome = _drain(request, report)
    level = messages.SUCCESS if agreed else messages.ERROR
    messages.add_message(request, level, f"Drain of {report.name}: {outcome}")
    return redirect(site, "changelist")


def _drain(request: HttpRequest, report: InstanceReport) -> tuple[bool, str]:
    """Drain an instance, and log it: whether it agreed, and what comes of it."""
    entry = log_action(request, report.name, "Drain")
    error = "It does not answer."
    try:
        agreed = async_to_sync(drain_instance)(
            realtime_settings(),
            report.instance,
            agent_of(request),
            user_name(request),
        )
    except NatsUnavailable as unavailable:
        agreed, error = False, str(unavailable)
    if agreed:
        outcome = (
            "It ends its streams one after the other and stops."
            if report.worker is None
            else "Its supervisor replaces it."
        )
    else:
        outcome = error
    log_outcome(entry, outcome)
    return agreed, outcome


def _others_ready(instances: tuple[InstanceReport, ...], instance: str) -> int:
    """How many could take its streams."""
    return sum(
        one.instance != instance and state_of(one) == "ready" for one in instances
    )
