"""Django's system checks for this app, with the tag `realtime`. All are warnings:
whatever they find, Flagsmith itself works, and its updates may still go by HTTP."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register("realtime")
def updates_go_to_nats(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Flagsmith's tasks publish straight to NATS, and are created in the first
    place."""
    return list(_warnings())


def _warnings() -> Iterator[CheckMessage]:
    fault = getattr(apps.get_app_config("realtime_flagsmith"), "fault", None)
    if fault is not None:
        yield Warning(
            f"realtime.flagsmith leaves Flagsmith's own sender in its place: {fault}.",
            hint="Updates go by HTTP to SSE_SERVER_BASE_URL.",
            id="realtime_flagsmith.W001",
        )
    for name in ("SSE_SERVER_BASE_URL", "SSE_AUTHENTICATION_TOKEN"):
        if not getattr(settings, name, None):
            yield Warning(
                f"{name} is not set: Flagsmith tells of no update, and says nothing.",
                hint="Set it for the API and for the task processor, although nothing "
                "is sent there: Flagsmith looks whether it is set.",
                id="realtime_flagsmith.W002",
            )
    if not getattr(settings, "NATS_URL", None):
        yield Warning(
            "NATS_URL is not set: updates go to nats://localhost:4222.",
            hint='In the settings: NATS_URL = os.environ["NATS_URL"].',
            id="realtime_flagsmith.W003",
        )
