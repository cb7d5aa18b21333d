"""The page that dismisses an instance that died, and how all instances come to remember
what a user did."""

import time
from http import HTTPStatus

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from realtime.admin.answering import (
    agent_of,
    look,
    realtime_settings,
    redirect,
    render,
)
from realtime.admin.log import log_action, log_outcome
from realtime.exceptions import NatsUnavailable
from realtime.fleet.survey import tell_everybody
from realtime.fleet.timeline.events import MOST_WORDS, Dismissed, TestUpdate
from realtime.fleet.wire_types import encode


@require_http_methods(["GET", "HEAD", "POST"])
def dismiss(request: HttpRequest, site: AdminSite, instance: str) -> HttpResponse:
    """Asks for confirmation, then tells all instances not to expect one back."""
    report = look(request)
    names = {death.sighting.instance: death.sighting.name for death in report.dead}
    name = names.get(instance)
    if name is None or request.method != "POST":
        return render(
            request,
            site,
            "dismiss",
            title="Dismiss an instance",
            instance=instance,
            name=name,
            error=report.nats_error or "It is not among those that died.",
            status=HTTPStatus.OK if name else HTTPStatus.NOT_FOUND,
        )
    entry = log_action(request, name, "Dismissal")
    told = Dismissed(
        seen_by="admin",
        at=time.time(),
        instance=instance,
        name=name[:MOST_WORDS],
        by=user_name(request),
    )
    heard = let_remember(request, told)
    outcome = "It is not expected back." if heard else "No instance has heard it."
    log_outcome(entry, outcome)
    level = messages.SUCCESS if heard else messages.ERROR
    messages.add_message(request, level, f"Dismissal of {name}: {outcome}")
    return redirect(site, "changelist")


def let_remember(request: HttpRequest, told: Dismissed | TestUpdate) -> bool:
    """Let all instances remember what the user did, or, while NATS is away, this one;
    whether any has heard it."""
    agent = agent_of(request)
    try:
        return async_to_sync(tell_everybody)(realtime_settings(), told, agent)
    except NatsUnavailable:
        if agent is not None:
            agent.remember(encode(told))
        return agent is not None


def user_name(request: HttpRequest) -> str:
    return request.user.get_username()[:MOST_WORDS]
