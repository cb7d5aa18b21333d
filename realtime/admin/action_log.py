"""Who did what to the fleet: Django's own log of the admin, and the page that shows
it."""

from typing import Any, Final, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse

from realtime.admin.view_helpers import may_operate, render
from realtime.environments import is_environment_key
from realtime.fleet.key_shortening import shortened
from realtime.models import Fleet

SHOWN: Final = 100
"""The newest entries; the rest is in the database."""


def log_page(request: HttpRequest) -> HttpResponse:
    """What was done to the fleet, the newest first."""
    found = (
        LogEntry.objects.filter(content_type__app_label="realtime")
        .filter(content_type__model="fleet")
        .select_related("user")
        .order_by("-action_time")[:SHOWN]
    )
    whole = may_operate(request)
    return render(
        request,
        "log",
        title="Log",
        entries=[_entry(one, whole=whole) for one in found],
        shown=SHOWN,
    )


def log_action(request: HttpRequest, about: str, action: str) -> LogEntry:
    """Note that the user does `action` to `about` (an environment, an instance), before
    it is done: if the database is down, nothing is."""
    return LogEntry.objects.create(
        user_id=cast(AbstractBaseUser, request.user).pk,
        content_type=ContentType.objects.get_for_model(Fleet),
        object_id=about,
        object_repr=about[:200],
        action_flag=CHANGE,
        change_message=action,
    )


def log_outcome(entry: LogEntry, outcome: str) -> None:
    entry.change_message = f"{entry.change_message}: {outcome}"
    entry.save(update_fields=["change_message"])


def _entry(one: LogEntry, *, whole: bool) -> dict[str, Any]:
    """What the page shows of it: an action on an environment, which is `about` its key,
    or on something else."""
    what, _, outcome = one.change_message.partition(": ")
    about = one.object_repr
    is_environment = is_environment_key(about)
    if is_environment and not whole:
        about = shortened(about)
        # What NATS answered may name it as well.
        outcome = outcome.replace(one.object_repr, about)
    return {
        "at": one.action_time,
        "user": one.user.get_username(),
        "what": what,
        "about": about,
        "is_environment": is_environment,
        "outcome": outcome,
    }
