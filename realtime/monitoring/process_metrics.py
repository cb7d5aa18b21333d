"""How this process is: watched from its own event loop, for `/metricsz`."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from realtime import metrics

if TYPE_CHECKING:
    from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

SAMPLE_SECONDS: Final = 0.25
SAMPLES_PER_WINDOW: Final = 40
"""Two windows of 10 s: a scrape every 15 s misses nothing."""


class Vitals:
    """Watches the event loop's lag, and samples what needs a history."""

    def __init__(self, service: "RealtimeService") -> None:
        self._service = service

    async def watch(self) -> None:
        """Watch for ever."""
        metrics.workers.set(1)
        metrics.workers_configured.set(1)
        loop = asyncio.get_running_loop()
        before = 0.0
        while True:
            self._guard(self._service.reporter.sample)
            self._guard(self._service.event_recorder.sample)
            worst = 0.0
            for _ in range(SAMPLES_PER_WINDOW):
                self._guard(self._sample)
                due = loop.time() + SAMPLE_SECONDS
                await asyncio.sleep(SAMPLE_SECONDS)
                worst = max(worst, loop.time() - due)
                lag = max(worst, before)
                self._guard(partial(metrics.event_loop_lag_seconds.set, lag))
            before = worst

    @staticmethod
    def _guard(look: Callable[[], None]) -> None:
        """Metrics are no reason for a service to end."""
        try:
            look()
        except Exception:
            logger.exception("vitals.failed")

    def _sample(self) -> None:
        self._service.note_readiness()
        oldest = self._service.intake.outbox.oldest
        waited = 0.0 if oldest is None else max(0.0, time.time() - oldest)
        metrics.outbox_oldest_seconds.set(waited)
        metrics.event_loop_seen_timestamp_seconds.set_to_current_time()
