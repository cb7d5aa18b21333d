"""The metrics of all workers of one supervisor, without files: each tells its own."""

import resource
import time
from collections.abc import Collection, Iterable
from typing import Final, Protocol

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime import metrics
from realtime.monitoring.metric_families import Family, Totals, families_of

_START_TIME: Final = "process_start_time_seconds"
_READY: Final = "flagsmith_sse_ready"
_SUPERVISORS: Final = (
    "flagsmith_sse_workers_configured",
    "flagsmith_sse_worker_restarts",
)
"""The supervisor knows better than its workers, each of which counts itself alone."""


class Told(Protocol):
    """What is known of one worker."""

    pid: int
    families: list[Family]
    """What it told last."""

    @property
    def silent(self) -> bool:
        """Whether it owes an answer for longer than one that is well would."""


class WorkersMetrics:
    """Adds up what the workers have told. What those have counted that are gone stays
    counted, so that no counter ever runs backwards."""

    def __init__(self, configured: int) -> None:
        self._gone = Totals()
        self._started = time.time()
        metrics.workers_configured.set(configured)

    def retire(self, families: Iterable[Family]) -> None:
        """A worker has ended: keep its counters; its gauges go with it."""
        self._gone.add(family for family in families if family.kind != "gauge")

    def of(self, workers: Collection[Told]) -> Collector:
        """What `workers`, and those before them, have told.

        One that is silent counts as it was when it last told of itself, but not as
        ready.
        """
        totals = Totals()
        for own in (metrics.workers_configured, metrics.worker_restarts_total):
            totals.add(families_of(own))
        for absent in (metrics.workers, metrics.ready):
            # 0, where there is no worker.
            totals.add(families_of(absent))
        totals.add(families_of(self._gone))
        for worker in workers:
            hidden = (*_SUPERVISORS, *((_READY,) if worker.silent else ()))
            totals.add(f for f in worker.families if f.name not in hidden)
            totals.add(
                family
                for family in families_of(_process_collector(worker.pid))
                if family.name != _START_TIME
            )
        totals.add(families_of(_OfThisProcess(self._started)))
        return totals


class _OfThisProcess(Collector):
    """What the supervisor's own process can tell of the whole instance."""

    def __init__(self, started: float) -> None:
        self._started = started

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            _START_TIME, "When the instance was started, in Unix seconds", self._started
        )
        gone = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The workers that have ended; those that live are asked one by one.
        yield CounterMetricFamily(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            value=gone.ru_utime + gone.ru_stime,
        )


def _process_collector(pid: int) -> Collector:
    """The standard metrics of another process; none, if it has just ended."""
    return ProcessCollector(pid=lambda: pid, registry=None)
