"""What a process remembers of its looks: ages of findings, and the last figures."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from realtime.fleet.fleet_report import FleetReport, Totals
from realtime.fleet.history.fleet_history import merge
from realtime.fleet.messages import InstanceReport
from realtime.fleet.overview_memory import (
    GAP_SECONDS,
    LOOK_SECONDS,
    MOST_FINDINGS,
    OverviewMemory,
    key_of,
)
from realtime.fleet.verdict.finding import Finding
from realtime.fleet.verdict.verdict import Verdict
from realtime.fleet.wire_types import decode, encode
from tests.support.simulated_fleet import made_up

FULL = Finding("host-1 (1001): as many subscribers as can be held.", runbook="full")
AT = 1_800_000_000.0


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def report(
    *findings: Finding, at: float = AT, nats_error: str | None = None
) -> FleetReport:
    level = "down" if nats_error else "degraded" if findings else "well"
    found = findings or (Finding("1 instance serves 10 subscribers."),)
    return FleetReport(
        verdict=Verdict.on(level, found, len(found)),  # type: ignore[arg-type]
        at=at,
        took=0.1,
        totals=Totals(10, 0, 0, 0),
        clients=(),
        instances=(made_up(1),),
        missing=(),
        latest=(),
        busiest=(),
        stream=None,
        nats_error=nats_error,
        stream_error=None,
        history=asyncio.run(merge((), at, complete=False)),
    )


def test_note__finding_that_came_between_two_looks__is_as_old_as_the_second() -> None:
    # Given
    clock = Clock()
    memory = OverviewMemory(clock)
    memory.note(report())

    # When
    clock.now += LOOK_SECONDS
    first = memory.note(report(FULL, at=AT + 30))
    clock.now += LOOK_SECONDS
    second = memory.note(report(FULL, at=AT + 60))

    # Then
    assert first.verdict.since == AT + 30
    assert second.verdict.since == AT + 30
    assert second.verdict.findings[0].since == AT + 30


def test_note__finding_there_at_the_first_look__no_age() -> None:
    # Given
    clock = Clock()
    memory = OverviewMemory(clock)
    memory.note(report(FULL))

    # When
    clock.now += LOOK_SECONDS
    later = memory.note(report(FULL, at=AT + 30))

    # Then: it may have been there for days
    assert later.verdict.since is None


def test_note__nobody_looked_for_long__no_age() -> None:
    # Given
    clock = Clock()
    memory = OverviewMemory(clock)
    memory.note(report())

    # When
    clock.now += GAP_SECONDS + 1

    # Then
    assert memory.note(report(FULL)).verdict.since is None


def test_note__finding_that_knows_its_age__keeps_it() -> None:
    # When
    noted = OverviewMemory().note(report(replace(FULL, since=5.0)))

    # Then
    assert noted.verdict.since == 5.0


def test_note__finding_gone_and_back__is_new() -> None:
    # Given
    clock = Clock()
    memory = OverviewMemory(clock)
    for at, findings in ((AT, ()), (AT + 1, (FULL,)), (AT + 2, ())):
        memory.note(report(*findings, at=at))

    # Then
    assert memory.note(report(FULL, at=AT + 3)).verdict.since == AT + 3


def test_note__another_instance_knows_the_age__taken_from_it() -> None:
    # Given: one that has looked for long, and this one, which has just started
    clock = Clock()
    other = OverviewMemory(clock)
    other.note(report())
    clock.now += LOOK_SECONDS
    other.note(report(FULL, at=AT + 30))

    # When: a minute later, by a clock that is an hour ahead
    clock.now += LOOK_SECONDS
    teller = made_up(1, finding_ages=other.ages(AT + 90))
    mine = OverviewMemory().note(
        replace(report(FULL, at=AT + 3690), instances=(teller, made_up(2)))
    )

    # Then
    assert mine.verdict.since == AT + 3630


def test_ages__nobody_looked_for_long__none() -> None:
    # Given
    clock = Clock()
    memory = OverviewMemory(clock)
    memory.note(report())
    memory.note(report(FULL))
    assert memory.ages(AT) == {key_of(FULL): 0}

    # When
    clock.now += GAP_SECONDS + 1

    # Then
    assert memory.ages(AT) == {}


def test_ages__more_findings_than_are_told__bounded() -> None:
    # Given
    memory = OverviewMemory()
    memory.note(report())
    many = [Finding(f"host ({number}): full.") for number in range(MOST_FINDINGS + 1)]

    # When
    memory.note(report(*many))

    # Then
    assert len(memory.ages(AT)) == MOST_FINDINGS
    told = made_up(1, finding_ages=memory.ages(AT))
    assert decode(encode(told), InstanceReport) == told


def test_note__nats_away__last_report_before() -> None:
    # Given
    memory = OverviewMemory()
    before = memory.note(report())

    # When
    away = memory.note(report(nats_error="Cannot connect."))
    still = memory.note(report(nats_error="Cannot connect."))

    # Then
    assert away.last_known == before
    assert still.last_known == before
    assert before.last_known is None


def test_note__nats_away_from_the_beginning__nothing_known() -> None:
    assert (
        OverviewMemory().note(report(nats_error="Cannot connect.")).last_known is None
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("host-1 (7): 1001 updates behind.", "host-1 (7): 2,345 updates behind.", True),
        ("host-1 (7): 1001 updates behind.", "host-1 (8): 1001 updates behind.", False),
        ("host-1 (7): full.", "host-2 (7): full.", False),
        ("It waits for 5 s.", "It waits for 12 s.", True),
    ],
)
def test_key_of__numbers_that_grow__are_no_part_of_it(
    one: str, other: str, same: bool
) -> None:
    assert (key_of(Finding(one)) == key_of(Finding(other))) is same


def test_key_of__long_reasons__in_a_moment() -> None:
    # Given: whoever may publish on NATS may make one up
    reason = "1(" * 100_000

    # When
    began = time.perf_counter()
    key_of(Finding(reason))

    # Then
    assert time.perf_counter() - began < 5
