"""Streams that are asked for wait behind everything else."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

STREAMS_PER_TURN: Final = 32
"""Of the event loop: some 4 ms. When thousands of clients come back at once, a publish
or a probe among them is answered between two turns, and not after all of them."""


class Openings:
    """Opens streams in the order in which they were asked for, a few each turn."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, start: Callable[[], None]) -> None:
        """Call `start` when its turn has come."""
        self._waiting.append(start)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._open)

    def _open(self) -> None:
        try:
            for _ in range(min(len(self._waiting), STREAMS_PER_TURN)):
                # It stays in the queue while it starts: `add` need not look twice.
                try:
                    self._waiting[0]()
                finally:
                    self._waiting.popleft()
        finally:
            # Also if one could not be started: nobody else would go on.
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._open)
