"""Coroutines stepped by hand: one that finishes without suspending, as nearly all do on
the hot paths, then costs neither a task nor a timer."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def by_deadline(deadline: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """What `coroutine` returns. A timer runs only if it suspends.

    `deadline` is the event loop's time. Raises `TimeoutError` after it.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    async with asyncio.timeout_at(deadline):
        return await resume(coroutine, awaited)


@types.coroutine
def resume(
    coroutine: Coroutine[Any, Any, T], awaited: object
) -> Generator[object, Any, T]:
    """Go on with a coroutine that was stepped by hand and now waits for `awaited`;
    returns what it returns."""
    while True:
        try:
            sent = yield awaited
        except BaseException as error:
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, sent)
        try:
            awaited = step()
        except StopIteration as finished:
            result: T = finished.value
            return result
