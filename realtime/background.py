"""Work that goes on for as long as this process: if some of it ends, so does the
process, and whoever watches over it starts another."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from realtime.lifecycle import Lifecycle, terminate

logger = structlog.get_logger("sse")

STOP_RETRY_SECONDS: Final = 1.0

DEATH_SECONDS: Final = 0.1
"""From the end of work that must not end until the process begins to drain."""


class BackgroundWork:
    """Tasks that do not end by themselves."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._tasks: list[asyncio.Task[None]] = []

    def __bool__(self) -> bool:
        """Whether anything runs."""
        return bool(self._tasks)

    def keep_running(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until `stop`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End all of it."""
        pending, self._tasks = set(self._tasks), []
        for task in pending:
            task.remove_done_callback(self._on_done)
        while pending:
            for task in pending:
                task.cancel()
            # nats-py swallows a cancellation that comes while it flushes: ask again.
            _, pending = await asyncio.wait(pending, timeout=STOP_RETRY_SECONDS)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        logger.critical("task.died", task=task.get_name(), exc_info=error)
        if not (self._lifecycle.died or self._lifecycle.draining):
            # Not if it is the event loop that ends.
            asyncio.get_running_loop().call_later(DEATH_SECONDS, terminate)
        self._lifecycle.die()
