"""A task as Flagsmith's task processor runs them: it is tried again if it raises."""

from realtime.publisher import publish_environment_update


def send_environment_update_message(environment_key: str, updated_at: str) -> None:
    """`updated_at`: ISO 8601, because a task's arguments are stored as JSON."""
    publish_environment_update(environment_key, updated_at)
