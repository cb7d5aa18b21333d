"""A counter for what happens thousands of times a second."""

import asyncio

from prometheus_client import Counter


class BatchedCounter:
    """Counts into `counter` once for all that happens in a turn of the event loop: its
    lock makes each time cost 0.3 µs, this 0.04."""

    __slots__ = ("_count", "_counter")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._count = 0

    def inc(self) -> None:
        """Count one more. An event loop must run."""
        if not self._count:
            asyncio.get_running_loop().call_soon(self._pass_on)
        self._count += 1

    def _pass_on(self) -> None:
        self._counter.inc(self._count)
        self._count = 0
