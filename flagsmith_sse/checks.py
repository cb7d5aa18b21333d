"""Django's system checks for this project: `manage.py check`, and with `--deploy` also
those that ask others. `--tag` chooses: `variables`, `nats`, `admin`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from flagsmith_sse.admin_database import admin_database_fault
from flagsmith_sse.settings import environment
from realtime.conf import RealtimeSettings
from realtime.exceptions import RealtimeError
from realtime.jetstream.nats_check import ask_jetstream


@register("variables")
def known_variables(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """No environment variable looks like one of the service's and is none."""
    return [
        Warning(
            f"{name} is no variable of the service, and has no effect.",
            hint=nearest and f"Is {nearest} meant?",
            id="flagsmith_sse.W001",
        )
        for name, nearest in environment.unknown().items()
    ]


@register("nats", deploy=True)
def nats(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """NATS is reached, and JetStream answers."""
    try:
        asyncio.run(ask_jetstream(RealtimeSettings.from_django(hosting=False)))
    except RealtimeError as error:
        return [Error(str(error), hint="See NATS_URL.", id="flagsmith_sse.E001")]
    return []


@register("admin", deploy=True)
def admin_database(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The admin's database is reached, and has the admin's tables."""
    fault = admin_database_fault() if settings.SSE_ADMIN_ENABLED else None
    return [Error(str(fault), id="flagsmith_sse.E002")] if fault else []
