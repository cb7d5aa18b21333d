"""Quantiles of what a Prometheus histogram has counted lately."""

from collections import deque
from typing import Final

from prometheus_client import Histogram

from realtime.fleet.messages import Quantiles

SAMPLES: Final = 6
"""Every 10 s one: the quantiles are those of the last minute."""

_Buckets = list[tuple[float, float]]
"""Upper bounds in seconds, and how many were counted up to each."""


class RecentQuantiles:
    """Of `histogram`, since the oldest of the last few samples."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._samples: deque[_Buckets] = deque([self._read()], SAMPLES)

    def sample(self) -> None:
        """From time to time: what was counted before the oldest sample is forgotten."""
        self._samples.append(self._read())

    def quantiles(self) -> Quantiles | None:
        """None if nothing was counted."""
        before = self._samples[0]
        counted = [
            (bound, now - then)
            for (bound, now), (_, then) in zip(self._read(), before, strict=True)
        ]
        total = counted[-1][1]
        if not total:
            return None
        p50, p95, p99 = (_quantile(counted, q * total) for q in (0.5, 0.95, 0.99))
        return Quantiles(p50, p95, p99, int(total))

    def _read(self) -> _Buckets:
        [metric] = self._histogram.collect()
        return [
            (float(sample.labels["le"]), sample.value)
            for sample in metric.samples
            if sample.name.endswith("_bucket")
        ]


def _quantile(buckets: _Buckets, rank: float) -> float:
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
