"""The page that sends a test update, and tells what came of it."""

import time
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.defaultfilters import pluralize

from realtime.admin.action_log import log_action, log_outcome
from realtime.admin.view_helpers import (
    ask,
    environment_key,
    redirect,
    remember,
    render,
    service_of,
    user_name,
)
from realtime.environments import is_environment_key
from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.fleet.environment.round_trip import RoundTrip, send_test_update
from realtime.fleet.key_shortening import shortened, without_whole_keys
from realtime.fleet.timeline.events import TestUpdate
from realtime.fleet.units import latency
from realtime.fleet.wire_types import LONGEST_TEXT

NOBODY: Final = "Nobody is subscribed to this environment: is the key right?"


def test_update(request: HttpRequest) -> HttpResponse:
    """Asks for an environment, asks for confirmation, sends. The playground's script,
    which asks by itself, gets the outcome as JSON."""
    posted = request.method == "POST"
    by_script = request.headers.get("Accept") == "application/json"
    environment, fault = request.POST.get("environment", "").strip(), ""
    if not posted:
        environment, fault = environment_key(request, "environment")
    valid = is_environment_key(environment)
    if posted and valid:
        level, outcome, updated_at = _send(request, environment)
        if by_script:
            return _json(level, outcome, updated_at)
        messages.add_message(request, level, f"Test update of {environment}: {outcome}")
        return redirect(request, "test_update", urlencode({"environment": environment}))
    status = HTTPStatus.BAD_REQUEST if posted else HTTPStatus.OK
    if posted and by_script:
        refused = f"Not sent. {environment} cannot be an environment key."
        return _json(messages.ERROR, refused, None, status)
    return render(
        request,
        "test_update",
        title="Send a test update",
        environment=environment,
        fault=fault,
        valid=valid,
        status=status,
    )


def _json(
    level: int,
    outcome: str,
    updated_at: float | None,
    status: HTTPStatus = HTTPStatus.OK,
) -> JsonResponse:
    name = messages.DEFAULT_TAGS[level]
    answer = {"outcome": outcome, "level": name, "updated_at": updated_at}
    return JsonResponse(answer, status=status)


def _send(request: HttpRequest, environment: str) -> tuple[int, str, float | None]:
    """Send a test update of `environment`, and remember that the user did: how well it
    went, as a level of Django's messages and in words, and the time that it carried."""
    entry = log_action(request, environment, "Test update")
    service, updated_at = service_of(request), None
    try:
        trip = ask(
            request,
            send_test_update,
            environment,
            publish=service.bridge.publish if service else None,
        )
        (level, outcome), updated_at = _outcome_of(trip), trip.updated_at
    except NatsUnavailable as error:
        level, outcome = messages.ERROR, f"Not sent. {error}"
    except PublishFailed as error:
        level, outcome = messages.ERROR, f"Not confirmed. {error}"
    log_outcome(entry, outcome)
    remember(
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


def _outcome_of(trip: RoundTrip) -> tuple[int, str]:
    """The level of Django's messages, and the outcome in sentences. It is no success if
    an instance is not heard of, or if nobody is subscribed: the key of an environment
    that does not exist is as good as any other to this service."""
    if not trip.reached and not trip.silent:
        return messages.WARNING, "Stored, but no instance answers."
    details = ", ".join(
        f"{one.name}: {one.subscribers} in {latency(one.seconds)}"
        for one in trip.reached
    )
    outcome = (
        f"{len(trip.reached)} of {max(trip.instances, len(trip.reached))} instances "
        f"told {trip.subscribers} subscriber{pluralize(trip.subscribers)} within "
        f"{latency(trip.seconds)} ({details})."
    )
    if trip.silent:
        outcome += f" No word from {', '.join(trip.silent)}."
    if len(trip.reached) < max(trip.instances, 1):
        return messages.WARNING, outcome
    if not trip.subscribers:
        return messages.WARNING, f"{outcome} {NOBODY}"
    return messages.SUCCESS, outcome
