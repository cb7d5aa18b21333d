"""What a process says at its start that is wrong and keeps nobody from serving."""

import threading

import structlog
from django.conf import settings

from flagsmith_sse.settings import environment

logger = structlog.get_logger("sse")


def warn_at_start(**signal: object) -> None:
    """Log what is wrong with the variables now, and with the admin's database as soon
    as that is known: no stream has to wait for a database."""
    for name, nearest in environment.unknown().items():
        logger.warning("settings.unknown_variable", variable=name, nearest=nearest)
    if settings.SSE_ADMIN_ENABLED:
        from flagsmith_sse.admin_database import warn_of_admin_database

        threading.Thread(
            target=warn_of_admin_database, name="admin-database", daemon=True
        ).start()
