"""For how long this process did not get the processor: what it measures meanwhile is
not the service's doing."""

import asyncio
from typing import Final

TICK_SECONDS: Final = 0.02

NOISE_SECONDS: Final = 0.01


class Lag:
    """How late this event loop came to what was due."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            if (now := loop.time()) > due + NOISE_SECONDS:
                self._late.append((due, now))

    def within(self, since: float, until: float) -> float:
        """The seconds of that time in which something waited for the processor."""
        return sum(
            max(0.0, min(until, came) - max(since, due)) for due, came in self._late
        )
