"""As Flagsmith's package `sse`: others import these two names from here, before
`realtime.flagsmith` is ready."""

from sse.sse_service import (
    send_environment_update_message_for_environment,
    send_environment_update_message_for_project,
)

__all__ = [
    "send_environment_update_message_for_environment",
    "send_environment_update_message_for_project",
]
