"""Requests that are held for a while before they are refused."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from realtime.http.asgi import Receive
from realtime.lifecycle import Phase
from realtime.service import RealtimeService

Result = TypeVar("Result")


async def to_its_end(
    service: RealtimeService, work: Coroutine[Any, Any, Result]
) -> Result:
    """What `work` returns, also if Daphne cancels this request on SIGTERM: what has
    begun is finished, and the client hears of it."""
    if not service.requests_are_cancelled:
        return await work
    task = asyncio.get_running_loop().create_task(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done() or not outlived_cancellation(service):
                task.cancel()
                raise


async def still_there(service: RealtimeService, receive: Receive) -> bool:
    """Hold a request, as admission says. Returns whether its client has waited."""
    try:
        return await service.admission.hold(partial(gone, receive))
    except asyncio.CancelledError:
        if not outlived_cancellation(service):
            raise
        return True


async def gone(receive: Receive) -> None:
    """Wait until the client has gone. Nothing of what it sends is kept meanwhile."""
    while (await receive())["type"] != "http.disconnect":
        pass


def outlived_cancellation(service: RealtimeService) -> bool:
    """Whether to go on after being cancelled.

    Daphne cancels every application on SIGTERM. That must not cut the streams off: the
    drain ends each in its turn, with its last chunk.
    """
    task = asyncio.current_task()
    if service.lifecycle.phase is not Phase.DRAINING or task is None:
        return False
    task.uncancel()
    return True
