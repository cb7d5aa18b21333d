"""What instances tell of themselves: as JSON, from whoever may publish, for people."""

import json
from typing import Any

import pytest

from realtime.fleet.messages import Answer, InstanceReport, Sighting
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
