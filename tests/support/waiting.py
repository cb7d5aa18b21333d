"""Waiting for something to become true, with a deadline."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    probe: Callable[[], T], *, seconds: float = 10, what: object = "condition"
) -> T:
    """The first true value of `probe()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return value


async def eventually_async(
    probe: Callable[[], T], *, seconds: float = 10, what: object = "condition"
) -> T:
    """The same, while the event loop does its work."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.01)
    return value
