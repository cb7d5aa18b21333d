from typing import Final

from django.apps import AppConfig
from django.dispatch import Signal

# Before any other app makes metrics.
from realtime import metrics  # noqa: F401

workers_starting: Final = Signal()
"""Sent by `serve --workers` once, before it starts them: for what a project would say
at its start, and each of its workers need not repeat."""


class RealtimeConfig(AppConfig):
    name = "realtime"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Real-time updates"

    def ready(self) -> None:
        from realtime import checks  # noqa: F401  registers them
