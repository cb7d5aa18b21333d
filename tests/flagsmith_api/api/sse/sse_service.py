"""A double of the two functions that tell of updates: they create tasks where the
settings and the project ask for it."""

from typing import Any

from django.conf import settings

from sse import tasks


def _is_enabled(project: Any) -> bool:
    configured = settings.SSE_SERVER_BASE_URL and settings.SSE_AUTHENTICATION_TOKEN
    return bool(configured and project.enable_realtime_updates)


def send_environment_update_message_for_environment(environment: Any) -> None:
    if _is_enabled(environment.project):
        arguments = (environment.api_key, environment.updated_at.isoformat())
        tasks.send_environment_update_message.delay(args=arguments)


def send_environment_update_message_for_project(project: Any) -> None:
    if _is_enabled(project):
        tasks.send_environment_update_message_for_project.delay(args=(project.id,))
