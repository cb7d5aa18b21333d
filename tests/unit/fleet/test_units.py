"""Numbers and times for people."""

import pytest

from realtime.fleet.units import duration, latency, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3601, "1 h"),
        (3660, "1 h 1 min"),
        (90_061, "1 d 1 h"),
        (float("inf"), "?"),
        (float("nan"), "?"),
    ],
)
def test_duration__seconds__two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00042, "0.4 ms"), (0.0123, "12 ms"), (0.9994, "999 ms"), (1.25, "1.2 s")],
)
def test_latency__seconds__few_digits(seconds: float, text: str) -> None:
    assert latency(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e6, "2.0 MB")]
)
def test_size__bytes__largest_unit(count: int, text: str) -> None:
    assert size(count) == text
