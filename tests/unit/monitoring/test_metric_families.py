"""Metrics as values: adding up those of several processes."""

import pytest
from msgspec import msgpack
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from realtime import metrics
from realtime.monitoring.exposition import render
from realtime.monitoring.metric_families import Family, Totals, families_of
from realtime.monitoring.worker_metrics import WorkersMetrics


def process(count: int, **gauges: float) -> list[Family]:
    """What a process tells that has counted so much, as it arrives elsewhere."""
    registry = CollectorRegistry()
    counter = Counter("things_total", "Things", ["kind"], registry=registry)
    counter.labels("a").inc(count)
    histogram = Histogram("took", "Time", buckets=(1, 2), registry=registry)
    for _ in range(count):
        histogram.observe(1.5)
    for name, value in gauges.items():
        Gauge(name, "A gauge", registry=registry).set(value)
    told = msgpack.encode(families_of(registry))
    return msgpack.decode(told, type=list[Family])


class Worker:
    """A worker whose process does not run."""

    def __init__(self, families: list[Family], *, silent: bool = False) -> None:
        self.pid = 0
        self.families = families
        self.silent = silent


def lines(text: bytes) -> dict[str, float]:
    samples = [
        line.rsplit(" ", 1)
        for line in text.decode().splitlines()
        if not line.startswith("#")
    ]
    return {name: float(value) for name, value in samples}


def test_totals__two_processes__counters_and_buckets_summed() -> None:
    # Given
    totals = Totals()

    # When
    totals.add(process(2))
    totals.add(process(3))

    # Then
    found = lines(render(totals))
    assert found['things_total{kind="a"}'] == 5
    assert found['took_bucket{le="1.0"}'] == 0
    assert found['took_bucket{le="2.0"}'] == 5
    assert found['took_bucket{le="+Inf"}'] == 5
    assert found["took_count"] == 5
    assert found["took_sum"] == 7.5


@pytest.mark.parametrize(
    ("mode", "expected"), [("livesum", 10), ("livemax", 7), ("livemin", 3)]
)
def test_totals__gauges__combined_as_their_mode_says(
    monkeypatch: pytest.MonkeyPatch, mode: str, expected: float
) -> None:
    # Given
    monkeypatch.setitem(metrics.GAUGE_MODES, "level", mode)
    totals = Totals()

    # When
    totals.add(process(0, level=3))
    totals.add(process(0, level=7))

    # Then
    assert lines(render(totals))["level"] == expected


def test_workers__one_has_ended__its_counters_stay_and_its_gauges_go() -> None:
    # Given
    workers = WorkersMetrics(configured=2)
    first, second = Worker(process(2, level=3)), Worker(process(3, level=4))
    before = lines(render(workers.of([first, second])))

    # When
    workers.retire(first.families)

    # Then
    after = lines(render(workers.of([second])))
    assert before['things_total{kind="a"}'] == after['things_total{kind="a"}'] == 5
    assert before["took_sum"] == after["took_sum"] == 7.5
    assert (before["level"], after["level"]) == (7, 4)


def test_workers__one_is_silent__as_it_was_but_not_ready() -> None:
    # Given
    told = process(2, flagsmith_sse_ready=1, flagsmith_sse_workers=1)
    workers = WorkersMetrics(configured=2)

    # When
    found = lines(render(workers.of([Worker(told), Worker(told, silent=True)])))

    # Then
    assert found["flagsmith_sse_ready"] == 1
    assert found["flagsmith_sse_workers"] == 2
    assert found['things_total{kind="a"}'] == 4


def test_workers__none_left__there_should_be_some_and_none_is_ready() -> None:
    # Given
    workers = WorkersMetrics(configured=3)

    # When
    found = lines(render(workers.of([])))

    # Then
    assert found["flagsmith_sse_workers_configured"] == 3
    assert found["flagsmith_sse_workers"] == 0
    assert found["flagsmith_sse_ready"] == 0
    assert found["process_start_time_seconds"] > 0
