"""A double of the two tasks: an HTTP request for each environment, one after the
other."""

import requests
from django.conf import settings
from task_processor.decorators import register_task_handler


@register_task_handler()
def send_environment_update_message(environment_key: str, updated_at: str) -> None:
    answer = requests.post(
        f"{settings.SSE_SERVER_BASE_URL}/sse/environments/{environment_key}/queue-change",
        headers={"Authorization": f"Token {settings.SSE_AUTHENTICATION_TOKEN}"},
        json={"updated_at": updated_at},
        timeout=2,
    )
    answer.raise_for_status()


@register_task_handler()
def send_environment_update_message_for_project(project_id: int) -> None:
    from environments.models import Environment

    for environment in Environment.objects.filter(project_id=project_id):
        send_environment_update_message(
            environment.api_key, environment.updated_at.isoformat()
        )
