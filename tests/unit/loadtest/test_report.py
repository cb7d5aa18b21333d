"""What a load test tells of its results."""

from array import array
from collections import Counter
from dataclasses import replace

import pytest

from realtime.loadtest.messages import Progress, UpdateResult
from realtime.loadtest.report import percentile, progress_line, summary, text
from realtime.loadtest.results import Results


def results(
    *settled: UpdateResult, received: int = 0, rejected: int = 0, dropped: int = 0
) -> Results:
    found = Results(subscribers=4, processes=2, published=len(settled))
    for one in settled:
        found.add(one)
    found.progress = Progress(
        connected=4, received=received, rejected=rejected, dropped=dropped
    )
    return found


def settled(*latencies: float, value: float = 1000, missing: int = 0) -> UpdateResult:
    count = len(latencies)
    return UpdateResult(
        value, count + missing, count, 0, missing, array("d", latencies)
    )


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (0.5, 5), (0.9, 9), (0.91, 10), (1, 10)]
)
def test_percentile__of_ten_values__is_one_of_them(
    share: float, expected: float
) -> None:
    assert percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], share) == expected


def test_summary__all_delivered__is_exact() -> None:
    # Given: one update in two processes, and another
    found = results(
        settled(0.001, 0.003),
        settled(0.002, 0.004),
        settled(0.005, 0.006, value=1001),
    )
    found.published = 2
    found.progress = replace(found.progress, cpu=0.0006)
    found.seconds = 20

    # When
    told = summary(found)

    # Then
    assert told["ok"] is True
    assert told["deliveries"] == {
        "expected": 6,
        "received": 6,
        "superseded": 0,
        "missing": 0,
        "duplicate": 0,
        "per_second": 600,  # 6 in 4 ms and 6 ms
    }
    assert told["latency_ms"] == {"p50": 3, "p90": 6, "p99": 6, "max": 6}
    assert told["client_cpu_us_per_delivery"] == 100


def test_text__large_numbers__with_separators_of_thousands() -> None:
    # Given
    found = Results(subscribers=40_000, processes=2, environments=1000)
    found.progress = Progress(connected=33_953, received=1_234_567)

    # Then
    assert "33,953 connected of 40,000 in 2 processes and 1,000 environments" in text(
        summary(found)
    )
    assert "33,953 of 40,000 connected" in progress_line(found, 12)
    assert "1,234,567 deliveries" in progress_line(found, 12)


def test_summary__nobody_connected__has_no_latency() -> None:
    # Given
    found = Results(subscribers=4, processes=1)
    found.progress = Progress(rejected=4, reasons=Counter({"503": 4}))

    # When
    told = summary(found)

    # Then
    assert told["ok"] is False
    assert told["latency_ms"] == {"p50": None, "p90": None, "p99": None, "max": None}
    assert "0 connected of 4 in 1 process, 4 rejected (4 x 503), 0 dr" in text(told)
    assert "latency" not in text(told)


@pytest.mark.parametrize(
    "found",
    [
        results(settled(0.1, missing=1)),
        results(settled(0.1), dropped=1),
        results(settled(0.1), rejected=1),
    ],
    ids=["missing", "dropped", "rejected"],
)
def test_summary__something_went_wrong__is_not_ok(found: Results) -> None:
    assert summary(found)["ok"] is False


def test_summary__update_refused__is_not_ok() -> None:
    # Given
    found = results(settled(0.1))
    found.failures["503"] += 1

    # When
    told = summary(found)

    # Then
    assert told["ok"] is False
    assert "1 failed (1 x 503)" in text(told)


def test_progress_line__one_update__counts_what_has_come() -> None:
    # Given
    parts = [Progress(received=1, reasons=Counter(a=1)), Progress(received=2)]
    found = results(settled(0.1), received=sum(parts, Progress()).received)

    # When
    line = progress_line(found, 12.3)

    # Then
    assert line.startswith("12 s · 4 of 4 connected")
    assert line.endswith("1 update · 3 deliveries")
