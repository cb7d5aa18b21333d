"""How this process is: watched from its own event loop, for `/metricsz`."""

import asyncio
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import prometheus_client
import structlog
from prometheus_client import Counter, Gauge

from realtime import metrics

if TYPE_CHECKING:
    from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

SAMPLE_SECONDS: Final = 0.25
SAMPLES_PER_WINDOW: Final = 40
"""Two windows of 10 s: a scrape every 15 s misses nothing."""

_FILES: Final = "/proc/self/fd"


class Vitals:
    """Watches the event loop's lag, and the use of the processor and memory of a worker
    among several: alone, `prometheus_client` tells that itself."""

    def __init__(self, service: "RealtimeService") -> None:
        self._service = service
        self._worker = _WorkerProcess() if metrics.WORKER_NUMBER in os.environ else None

    async def watch(self) -> None:
        """Watch for ever."""
        metrics.workers.set(1)
        metrics.workers_configured.set(int(os.environ.get(metrics.WORKERS, 1)))
        loop = asyncio.get_running_loop()
        before = 0.0
        while True:
            self._guard(self._service.reporter.sample)
            if self._worker is not None:
                self._guard(self._worker.survey)
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
        if self._worker is not None:
            self._worker.count_cpu()


class _WorkerProcess:
    """The standard metrics of a process, which `prometheus_client` leaves out where
    there are several; under their names, summed over the workers."""

    def __init__(self) -> None:
        prometheus_client.REGISTRY.unregister(prometheus_client.PROCESS_COLLECTOR)
        self._cpu = Counter("process_cpu_seconds_total", "User and system time")
        self._memory = Gauge(
            "process_resident_memory_bytes",
            "Resident memory",
            multiprocess_mode="livesum",
        )
        self._files = Gauge(
            "process_open_fds", "Open files", multiprocess_mode="livesum"
        )
        started = Gauge(
            "process_start_time_seconds",
            "When the instance was started, in Unix seconds",
            multiprocess_mode="livemin",
        )
        started.set(float(os.environ[metrics.INSTANCE_STARTED]))
        self._cpu_so_far = 0.0

    def count_cpu(self) -> None:
        cpu = time.process_time()
        self._cpu.inc(cpu - self._cpu_so_far)
        self._cpu_so_far = cpu

    def survey(self) -> None:
        """What costs too much to be looked at all the time."""
        with suppress(OSError):  # no file is left to open
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self._memory.set(pages * resource.getpagesize())
            self._files.set(open_files())


def open_files() -> int:
    """How many files this process has open. Linux tells since 6.2; before, to count
    thousands takes milliseconds."""
    return os.stat(_FILES).st_size or len(os.listdir(_FILES))
