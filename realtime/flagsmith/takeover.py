"""Flagsmith's two tasks that tell of updates are made to do what `Sender` does.

The tasks stay Flagsmith's, with their names and arguments. So it does not matter who
has imported them before; a row of the queue may be run by a task processor with this
app or by one without, as happens while one image replaces the other; and whether a
project has real-time updates is decided where it always was.
"""

import importlib
import inspect
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist

from realtime.exceptions import RealtimeError
from realtime.flagsmith.outbox import Outbox
from realtime.flagsmith.sender import Sender

MODULE: Final = "sse.tasks"
ENVIRONMENT_TASK: Final = "send_environment_update_message"
PROJECT_TASK: Final = "send_environment_update_message_for_project"


class CannotTakeOver(RealtimeError):
    """Flagsmith is not as it was when this was written, or has no queue."""


def take_over() -> None:
    """Have Flagsmith's tasks publish straight to NATS. To be called once its models
    are loaded.

    Raises `CannotTakeOver` with the reason; then nothing was changed.
    """
    method = getattr(settings, "TASK_RUN_METHOD", None)
    if getattr(method, "value", method) != "TASK_PROCESSOR":
        raise CannotTakeOver(
            "TASK_RUN_METHOD is not TASK_PROCESSOR, and without the task processor "
            "there is no queue in which an update could wait for NATS"
        )
    one = _task(ENVIRONMENT_TASK, ["environment_key", "updated_at"])
    all_of_project = _task(PROJECT_TASK, ["project_id"])
    sender = Sender(Outbox(one), _environments())
    _replace(one, sender.send)
    _replace(all_of_project, sender.send_project)


def _task(name: str, parameters: list[str]) -> Any:
    """Flagsmith's task, a `TaskHandler`."""
    try:
        task = getattr(importlib.import_module(MODULE), name)
        found = [*inspect.signature(task.unwrapped).parameters]
    except (ImportError, AttributeError) as error:
        raise CannotTakeOver(
            f"Flagsmith has no task {MODULE}.{name}: {error}"
        ) from None
    if found != parameters:
        raise CannotTakeOver(
            f"Flagsmith's task {MODULE}.{name} takes {', '.join(found)} instead of "
            + ", ".join(parameters)
        )
    return task


def _environments() -> Any:
    """Flagsmith's model of environments."""
    try:
        model = apps.get_app_config("environments").get_model("Environment")
        for field in ("api_key", "updated_at", "project"):
            model._meta.get_field(field)
    except (LookupError, FieldDoesNotExist) as error:
        raise CannotTakeOver(f"Flagsmith's environments were not found: {error}") from (
            None
        )
    return model


def _replace(task: Any, function: Any) -> None:
    """Have `task` do `function`: the first line is for those who call it, the second
    for the task processor, which looks in its registry."""
    from task_processor import task_registry

    task.unwrapped = function
    task_registry.register_task(task.task_identifier, function)
