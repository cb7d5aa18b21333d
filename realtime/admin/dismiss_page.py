"""The page that dismisses an instance that died, so that nobody expects it back."""

import time
from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from realtime.admin.action_log import log_action, log_outcome
from realtime.admin.view_helpers import (
    fleet_report,
    redirect,
    remember,
    render,
    user_name,
)
from realtime.fleet.timeline.events import MOST_WORDS, Dismissed


@require_http_methods(["GET", "HEAD", "POST"])
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
