"""What Prometheus metrics of this process have counted, and quantiles of it."""

from collections import deque
from collections.abc import Sequence
from operator import sub
from typing import Any, Final

from prometheus_client import Histogram

from realtime.fleet.messages import Quantiles

SAMPLES: Final = 6
"""Every 10 s one: the quantiles are those of the last minute."""

Buckets = Sequence[tuple[float, float]]
"""Upper bounds in seconds, and how many were counted up to each."""


class RecentQuantiles:
    """Of `histogram`, since the oldest of the last few samples."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._samples: deque[Buckets] = deque([buckets_of(histogram)], SAMPLES)

    def sample(self) -> None:
        """From time to time: what was counted before the oldest sample is forgotten."""
        self._samples.append(buckets_of(self._histogram))

    def quantiles(self) -> Quantiles | None:
        """None if nothing was counted."""
        before = self._samples[0]
        counted = [
            (bound, now - then)
            for (bound, now), (_, then) in zip(
                buckets_of(self._histogram), before, strict=True
            )
        ]
        count = counted[-1][1]
        if not count:
            return None
        p50, p95, p99 = (quantile(counted, q * count) for q in (0.5, 0.95, 0.99))
        return Quantiles(p50, p95, p99, int(count))


def buckets_of(histogram: Histogram) -> Buckets:
    """What `histogram` has counted since the process started."""
    [metric] = histogram.collect()
    return [
        (float(sample.labels["le"]), sample.value)
        for sample in metric.samples
        if sample.name.endswith("_bucket")
    ]


def counts_of(histogram: Histogram) -> list[int]:
    """How many fell into each bucket."""
    up_to = [int(count) for _, count in buckets_of(histogram)]
    return list(map(sub, up_to, [0, *up_to[:-1]]))


def quantile(buckets: Buckets, rank: float) -> float:
    """By linear interpolation within a bucket, as Prometheus does it; beyond the last
    bound that bound."""
    lower = counted_below = 0.0
    for bound, counted in buckets:
        if counted >= rank and bound != float("inf"):
            share = (rank - counted_below) / (counted - counted_below)
            return lower + (bound - lower) * share
        if bound != float("inf"):
            lower, counted_below = bound, counted
    return lower


def total(*simple_metrics: Any) -> int:
    """The sum of counters' or gauges' values."""
    return int(
        sum(
            sample.value
            for metric in simple_metrics
            for family in metric.collect()
            for sample in family.samples
        )
    )
