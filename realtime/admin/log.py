"""Who did what to the fleet, in Django's own log of the admin."""

from typing import cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from realtime.models import Fleet


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
