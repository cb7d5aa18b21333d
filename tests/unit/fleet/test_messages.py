"""What instances tell of themselves: as JSON, from whoever may publish, for people."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram

from realtime.fleet.key_shortening import shortened
from realtime.fleet.messages import Answer, InstanceReport, Sighting
from realtime.fleet.quantiles import SAMPLES, RecentQuantiles
from realtime.fleet.units import duration, latency, size
from realtime.fleet.wire_types import MAX_BYTES, decode, encode
from tests.support.simulated_fleet import made_up


def test_answer__encoded__decoded_to_the_same() -> None:
    # Given
    sighting = Sighting(instance="sse-b-2-cd", host="b", pid=2, worker=1, left=True)
    answer = Answer(report=made_up(last_error="<é>"), alive=2, overdue=(sighting,))

    # When / Then
    assert decode(encode(answer), Answer) == answer


def test_answer__of_a_newer_version__what_is_known_is_read() -> None:
    # Given
    document: dict[str, Any] = json.loads(encode(made_up()))
    document["something_new"] = {"a": 1}
    del document["rejections"]

    # When
    report = decode(json.dumps(document).encode(), InstanceReport)

    # Then
    assert report is not None
    assert report.host == document["host"]
    assert report.rejections == 0


HOSTILE: dict[str, Any] = {
    "instance of two tokens": {"instance": "a.b"},
    "instance with a wildcard": {"instance": "*"},
    "instance with a line end": {"instance": "a\r\n"},
    "instance that ends with a line feed": {"instance": "a\n"},
    "no instance": {"instance": ""},
    "host that is a number": {"host": 1},
    "host that is long": {"host": "x" * 501},
    "negative count": {"subscribers": -1},
    "count beyond 64 bits": {"subscribers": 2**63},
    "count that is a fraction": {"subscribers": 1.5},
    "count that is a text": {"subscribers": "1"},
    "time that is a text": {"now": "now"},
    "time that is beyond a double": {"now": 10**400},
    "list that is a number": {"latest": 1},
    "stream's age that is beyond JetStream": {
        "stream": {"storage": "file", "replicas": 1, "max_age": 1e300}
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_decode__senseless_field__no_report(case: str) -> None:
    # Given
    document = {**json.loads(encode(made_up())), **HOSTILE[case]}

    # When / Then
    assert decode(json.dumps(document).encode(), InstanceReport) is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"null", b"\xff", b"NaN", b'{"instance":"a"}', b"[" * 100_000],
)
def test_decode__no_report__none(payload: bytes) -> None:
    assert decode(payload, InstanceReport) is None


def test_decode__larger_than_any_answer__not_looked_at() -> None:
    # Given
    payload = encode(made_up())
    assert decode(payload.ljust(MAX_BYTES), InstanceReport) is not None

    # When / Then
    assert decode(payload.ljust(MAX_BYTES + 1), InstanceReport) is None


@pytest.mark.parametrize(
    ("key", "short"),
    [
        ("AbCdEfGhIjKlMnOpQr0123", "AbCdEf…0123"),
        ("production", "production"),
        ("exactly12chr", "exactly12chr"),
        ("exactly13char", "exactl…char"),
    ],
)
def test_shortened__key__recognisable_and_not_given_away(key: str, short: str) -> None:
    assert shortened(key) == short


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
