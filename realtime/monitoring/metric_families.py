"""Metrics as values: what a worker tells its supervisor of itself, and how those of
several workers become one."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.registry import Collector

from realtime.metrics import GAUGE_MODES


class Sample(Struct, frozen=True, array_like=True):
    """One line of an exposition."""

    name: str
    labels: dict[str, str]
    value: float


class Family(Struct, frozen=True, array_like=True):
    """A metric with all its samples; `kind` is Prometheus' name of its type."""

    name: str
    kind: str
    documentation: str
    samples: list[Sample]


_COMBINE: Final[dict[str, Callable[[float, float], float]]] = {
    "livesum": lambda one, other: one + other,
    "livemax": max,
    "livemin": min,
}
_Labels = tuple[tuple[str, str], ...]


def families_of(collector: Collector) -> list[Family]:
    """What `collector` tells now."""
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            [Sample(one.name, one.labels, one.value) for one in metric.samples],
        )
        for metric in collector.collect()
    ]


class Totals(Collector):
    """The families of several processes, added up: counters and histograms are summed,
    gauges become one as `GAUGE_MODES` says, or are summed."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, str]] = {}
        self._values: dict[str, dict[tuple[str, _Labels], float]] = {}

    def add(self, families: Iterable[Family]) -> None:
        """Count in what one process has told."""
        for family in families:
            self._kinds[family.name] = family.kind, family.documentation
            values = self._values.setdefault(family.name, {})
            mode = "livesum"
            if family.kind == "gauge":
                mode = GAUGE_MODES.get(family.name, mode)
            combine = _COMBINE[mode]
            for sample in family.samples:
                key = sample.name, tuple(sample.labels.items())
                if key in values:
                    values[key] = combine(values[key], sample.value)
                else:
                    values[key] = sample.value

    def collect(self) -> Iterator[Metric]:
        """The sums."""
        for name, (kind, documentation) in self._kinds.items():
            metric = Metric(name, documentation, kind)
            for (sample, labels), value in self._values[name].items():
                metric.add_sample(sample, dict(labels), value)
            yield metric
