"""The instances as rows of the overview's table."""

from typing import Any

import pytest
from msgspec.structs import replace

from realtime.admin.instance_rows import newest_version, rows, summary, versions
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.messages import Sighting
from tests.support.simulated_fleet import made_up
from tests.unit.fleet.test_overview_memory import report

HOUR = 3600.0


def of(*instances: Any, **fields: Any) -> FleetReport:
    return replace(report(), instances=instances, **fields)


def test_rows__worker_that_was_replaced__its_successor_has_its_place() -> None:
    # Given
    host = {"host": "one", "not_ready": None}
    report = of(
        made_up(1, pid=30, worker=1, **host),
        made_up(2, pid=99, worker=0, **host),
    )

    # When
    found = rows(report, may_drain=True)

    # Then
    assert [row.identity for row in found] == ["(99, worker 0)", "(30, worker 1)"]


@pytest.mark.parametrize(
    ("age", "shown"), [(60, "recent"), (2 * HOUR, "old"), (25 * HOUR, "")]
)
def test_rows__last_error__fades(age: float, shown: str) -> None:
    # Given
    one = made_up(1, now=1e9, last_error="It broke.", last_error_at=1e9 - age)

    # When
    [row] = rows(of(one), may_drain=True)

    # Then
    assert row.error == shown


def test_rows__nats_away__others_are_not_known_and_not_missing() -> None:
    # Given: one that was seen at the last look, one only heard of, and this process
    own = made_up(1, not_ready="NATS is not connected.")
    heard = Sighting(instance="heard", host="heard", pid=7, ago=3)
    seen = made_up(2)
    away = of(
        own,
        nats_error="Cannot connect.",
        missing=(seen.sighting, heard),
        last_known=of(made_up(1), seen),
    )

    # When
    found = rows(away, may_drain=True)

    # Then
    assert [(row.host, row.state) for row in found] == [
        ("host-1", "unready"),
        ("host-2", "unknown"),
        ("heard", "unknown"),
    ]
    assert not any(row.may_drain for row in found)
    assert found[1].words == "not known"


def test_versions__mixed__newest_first_by_number() -> None:
    # Given
    fleet = [made_up(n, version=v) for n, v in enumerate(("0.9.1", "0.10.0", "0.9.1"))]

    # When / Then
    assert versions(fleet) == [("0.10.0", 1), ("0.9.1", 2)]
    assert newest_version(fleet) == "0.10.0"
    assert newest_version([]) == ""


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (
            (100, 110, 120),
            "All on version 1.2.3; streams are balanced: 100 to 120 each.",
        ),
        ((60, 179, 182), "streams are not balanced: 60 to 182 each."),
        ((0, 5, 9), "All on version 1.2.3; streams: 0 to 9 each."),
        ((0, 0), "All on version 1.2.3; streams: 0 each."),
        ((7,), "All on version 1.2.3."),
    ],
)
def test_summary__subscribers__balanced_or_not(
    counts: tuple[int, ...], told: str
) -> None:
    # Given
    fleet = [made_up(n, subscribers=count) for n, count in enumerate(counts)]

    # When / Then
    assert told in summary(fleet)


def test_summary__versions__how_many_are_on_the_newest() -> None:
    # Given: one that leaves does not count
    fleet = [
        made_up(1, version="0.2.0"),
        made_up(2, version="0.1.0"),
        made_up(3, version="0.1.0", draining=True),
    ]

    # When / Then
    assert summary(fleet).startswith("1 of 2 on version 0.2.0")
    assert summary([]) == ""
