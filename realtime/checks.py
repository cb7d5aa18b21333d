"""Django's system checks for this app: `manage.py check`, and before every command
that needs the service's settings."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from realtime.conf import renamed_faults
from realtime.tokens import token_fault


@register()
def authentication_token(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """`SSE_AUTHENTICATION_TOKEN` can be sent in a header. A project that does not have
    the setting, or has None there, only publishes and needs none."""
    token = getattr(settings, "SSE_AUTHENTICATION_TOKEN", None)
    fault = None if token is None else token_fault(token)
    if fault is None:
        return []
    return [Error(f"SSE_AUTHENTICATION_TOKEN {fault}", id="realtime.E001")]


@register()
def renamed_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """No setting has a name that it had once."""
    faults = renamed_faults(partial(hasattr, settings))
    return [Error(fault, id="realtime.E002") for fault in faults]
