"""Quantiles of what a histogram has counted lately."""

import pytest
from prometheus_client import CollectorRegistry, Histogram

from realtime.fleet.quantiles import SAMPLES, RecentQuantiles


def histogram() -> Histogram:
    return Histogram(
        "h", "Of the test", buckets=(0.01, 0.1, 1.0), registry=CollectorRegistry()
    )


def test_quantiles__nothing_observed__none() -> None:
    assert RecentQuantiles(histogram()).quantiles() is None


def test_quantiles__observations__interpolated_within_their_bucket() -> None:
    # Given
    observed = histogram()
    recent = RecentQuantiles(observed)
    for _ in range(50):
        observed.observe(0.005)
        observed.observe(0.05)

    # When
    quantiles = recent.quantiles()

    # Then
    assert quantiles is not None
    assert quantiles.count == 100
    assert quantiles.p50 == pytest.approx(0.01)
    assert quantiles.p95 == pytest.approx(0.091)
    assert quantiles.p99 == pytest.approx(0.0982)


def test_quantiles__beyond_the_last_bound__that_bound() -> None:
    # Given
    observed = histogram()
    recent = RecentQuantiles(observed)

    # When
    observed.observe(60)
    quantiles = recent.quantiles()

    # Then
    assert quantiles is not None
    assert (quantiles.p50, quantiles.p99) == (1.0, 1.0)


def test_quantiles__observed_more_than_six_samples_ago__forgotten() -> None:
    # Given
    observed = histogram()
    recent = RecentQuantiles(observed)
    observed.observe(0.5)
    for _ in range(SAMPLES - 1):
        recent.sample()
    assert recent.quantiles() is not None

    # When
    recent.sample()

    # Then
    assert recent.quantiles() is None
