"""The updates that wait for NATS: rows of the task processor's queue, which outlive
every process."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone


class Outbox:
    """`task` is the `TaskHandler` of Flagsmith's that tells of one environment."""

    def __init__(self, task: Any) -> None:
        self._task = task

    def put(self, environment_key: str, updated_at: datetime, seconds: float) -> None:
        """Have the environment told of in so many seconds, unless that is to happen
        anyway: whichever task it is, it tells the latest time."""
        if not self._waiting(environment_key).exists():
            self._task.delay(
                args=(environment_key, updated_at.isoformat()),
                delay_until=timezone.now() + timedelta(seconds=seconds),
            )

    def hurry(self) -> None:
        """Have all that waits told of now."""
        now = timezone.now()
        self._queue().filter(scheduled_for__gt=now).update(scheduled_for=now)

    def _waiting(self, environment_key: str) -> Any:
        """The rows of one environment. Its key is the first argument of a row."""
        beginning = json.dumps([environment_key])[:-1] + ","
        return self._queue().filter(serialized_args__startswith=beginning)

    def _queue(self) -> Any:
        """The rows that a task processor will still take up. A row that is locked may
        be past the point where it looks for the latest time, or its processor dead."""
        from task_processor.models import Task

        return Task.objects.filter(
            task_identifier=self._task.task_identifier,
            completed=False,
            num_failures__lt=3,
            is_locked=False,
        )
