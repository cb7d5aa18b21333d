"""How this process is: watched from its own event loop, for `/metricsz`."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from realtime import metrics

logger = structlog.get_logger("sse")

SAMPLE_SECONDS: Final = 0.25
SAMPLES_PER_WINDOW: Final = 40
"""Two windows of 10 s: a scrape every 15 s misses nothing."""


async def watch_process(
    sample: Callable[[], None],
    note_readiness: Callable[[], None],
    *,
    oldest_waiting: Callable[[], float | None],
) -> None:
    """Watch the event loop's lag for ever, and call `sample` every 10 s and
    `note_readiness` every `SAMPLE_SECONDS`. `oldest_waiting` tells since when (Unix
    seconds) the oldest update waits for NATS; None: no update does."""
    metrics.workers.set(1)
    metrics.workers_configured.set(1)
    loop = asyncio.get_running_loop()
    before = 0.0
    while True:
        _guard(sample)
        worst = 0.0
        for _ in range(SAMPLES_PER_WINDOW):
            _guard(note_readiness)
            _guard(partial(_note_process, oldest_waiting))
            due = loop.time() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            worst = max(worst, loop.time() - due)
            _guard(partial(metrics.event_loop_lag_seconds.set, max(worst, before)))
        before = worst


def _guard(look: Callable[[], None]) -> None:
    """Metrics are no reason for a service to end."""
    try:
        look()
    except Exception:
        logger.exception("vitals.failed")


def _note_process(oldest_waiting: Callable[[], float | None]) -> None:
    oldest = oldest_waiting()
    waited = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    metrics.outbox_oldest_seconds.set(waited)
    metrics.event_loop_seen_timestamp_seconds.set_to_current_time()
