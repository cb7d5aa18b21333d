"""Django's system checks for this app, with the tag `realtime`. All are warnings:
whatever they find, Flagsmith itself works, and its updates may still go by HTTP."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register("realtime")
def taken_over(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Flagsmith's tasks publish straight to NATS."""
    fault = getattr(apps.get_app_config("realtime_flagsmith"), "fault", None)
    if fault is None:
        return []
    return [
        Warning(
            f"realtime.flagsmith leaves Flagsmith's own sender in its place: {fault}.",
            hint="Updates go by HTTP to SSE_SERVER_BASE_URL.",
            id="realtime_flagsmith.W001",
        )
    ]


@register("realtime")
def settings_of_flagsmith(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """What Flagsmith asks for before it creates a task."""
    return [
        Warning(
            f"{name} is not set: Flagsmith tells of no update, and says nothing.",
            hint="Set it for the API and for the task processor, although nothing is "
            "sent there: Flagsmith looks whether it is set.",
            id="realtime_flagsmith.W002",
        )
        for name in ("SSE_SERVER_BASE_URL", "SSE_AUTHENTICATION_TOKEN")
        if not getattr(settings, name, None)
    ]


@register("realtime")
def nats_url(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Where NATS is; the default is for development."""
    if getattr(settings, "NATS_URL", None):
        return []
    return [
        Warning(
            "NATS_URL is not set: updates go to nats://localhost:4222.",
            hint='In the settings: NATS_URL = os.environ["NATS_URL"].',
            id="realtime_flagsmith.W003",
        )
    ]
