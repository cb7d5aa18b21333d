"""The busiest environments of the whole fleet: right sums, and what is not known."""

import json

import pytest

from realtime.fleet.environment.busiest import MOST_NAMED, busiest, without_keys
from realtime.fleet.key_shortening import shortened
from realtime.fleet.messages import Busy, InstanceReport
from realtime.fleet.wire_types import decode, encode
from tests.support.simulated_fleet import made_up

A, B, C = (f"{letter * 18}{number:04}" for number, letter in enumerate("abc"))


def names(number: int, /, unnamed: int | None = 0, **counts: int) -> InstanceReport:
    """A report that names environments A, B and C."""
    keys = {"a": A, "b": B, "c": C}
    return made_up(
        number,
        environments=len(counts) + bool(unnamed),
        unnamed=unnamed,
        busiest=tuple(
            Busy(shortened(keys[name]), count, key=keys[name])
            for name, count in counts.items()
        ),
    )


def test_busiest__all_told__summed() -> None:
    # When
    found = busiest([names(1, a=5, b=2), names(2, b=4)], {}, 10)

    # Then
    assert [(one.environment, one.subscribers) for one in found.environments] == [
        (shortened(B), 6),
        (shortened(A), 5),
    ]
    assert not any(one.at_least for one in found.environments)
    assert found.unnamed == 0


def test_busiest__counts_of_those_that_were_not_named__added() -> None:
    # Given: a is the busiest of none of them alone
    reports = [names(1, a=5, b=6, unnamed=4), names(2, a=5, c=6, unnamed=3)]
    counts = {
        reports[0].instance: {A: 5, B: 6, C: 0},
        reports[1].instance: {A: 5, B: 3, C: 6},
    }

    # When
    found = busiest(reports, counts, 2)

    # Then
    assert [
        (one.environment, one.subscribers, one.at_least) for one in found.environments
    ] == [
        (shortened(A), 10, False),
        (shortened(B), 9, False),
    ]
    assert found.unnamed == 7


def test_busiest__instance_that_does_not_count__at_least() -> None:
    # Given
    reports = [names(1, a=5, b=6, unnamed=4), names(2, a=5, c=6)]

    # When
    found = busiest(reports, {}, 10)

    # Then: c may have subscribers on the first, and b has none on the second
    told = {
        one.environment: (one.subscribers, one.at_least) for one in found.environments
    }
    assert told == {
        shortened(A): (10, False),
        shortened(B): (6, False),
        shortened(C): (6, True),
    }


def test_busiest__older_version__by_the_key_that_others_tell() -> None:
    # Given
    older = made_up(
        2, environments=9, busiest=(Busy(shortened(A), 3), Busy("elsew…here", 2))
    )

    # When
    found = busiest([names(1, a=5), older], {}, 10)

    # Then
    first, second = found.environments
    assert (first.environment, first.subscribers) == (shortened(A), 8)
    assert second.environment == "elsew…here"
    assert (first.key, second.key) == (None, None)
    assert found.unnamed == 2


def test_busiest__two_environments_that_look_the_same_shortened__told_apart() -> None:
    # Given
    alike = [f"production-{middle}-eu-west-1" for middle in ("shop", "news")]
    reports = [
        made_up(n, busiest=(Busy(shortened(key), n, key=key),), unnamed=0)
        for n, key in enumerate(alike, start=1)
    ]
    assert shortened(alike[0]) == shortened(alike[1])

    # When
    found = busiest(reports, {}, 10)

    # Then
    assert [one.subscribers for one in found.environments] == [2, 1]


def test_busiest__report_that_names_thousands__bounded() -> None:
    # Given
    report = made_up(busiest=tuple(Busy(f"e{n}", 1) for n in range(5000)), unnamed=0)

    # When / Then
    assert len(busiest([report], {}, 10_000).environments) == MOST_NAMED


def test_busiest__latest_update__of_whoever_knows_a_later_one() -> None:
    # Given
    reports = [
        made_up(n, busiest=(Busy(shortened(A), 1, at, key=A),), unnamed=0)
        for n, at in enumerate((5.0, None, 7.0))
    ]

    # When
    [one] = busiest(reports, {}, 10).environments

    # Then
    assert (one.subscribers, one.stored_at) == (3, 7.0)


def test_without_keys__report__none_is_left() -> None:
    # Given
    report = made_up(busiest=(Busy(shortened(A), 1, key=A),))

    # When
    text = encode(without_keys(report)).decode()

    # Then
    assert A not in text
    assert json.loads(text)["busiest"][0]["environment"] == shortened(A)


@pytest.mark.parametrize("key", ["a b", "*", "a..b", "x" * 101, '"><script>'])
def test_busy__key_that_cannot_be_one__no_report(key: str) -> None:
    # Given
    document = json.loads(encode(made_up()))
    document["busiest"][0]["key"] = key

    # When / Then
    assert decode(json.dumps(document).encode(), InstanceReport) is None
