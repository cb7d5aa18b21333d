"""What the verdict says of the dead, and of fewer than expected."""

from realtime.fleet.messages import InstanceReport, Sighting
from realtime.fleet.timeline.messages import Death, EventsAnswer
from realtime.fleet.verdict.death_findings import (
    MOST_DEAD,
    RUNBOOK,
    dead_of,
    death_findings,
    expected_of,
    hosts_of,
)
from tests.support.simulated_fleet import made_up

NOW = 1_700_000_000.0


def death(number: int, at: float = NOW) -> Death:
    sighting = Sighting(instance=f"x-{number}", host=f"pod-{number}", pid=number)
    return Death(sighting=sighting, at=at)


def reasons(
    dead: list[Death], instances: list[InstanceReport], expected: int
) -> list[str]:
    return [one.reason for one in death_findings(dead, instances, expected)]


def test_dead_of__several_accounts__each_once_without_dismissed_and_present() -> None:
    # Given
    present = made_up(1, instance="x-1")
    accounts = [
        EventsAnswer(
            instance="a", alive=1, deaths=(death(1), death(2), death(3, NOW - 9))
        ),
        EventsAnswer(instance="b", alive=1, deaths=(death(2, NOW + 1),), dismissed=()),
        EventsAnswer(instance="c", alive=1, deaths=(death(4),), dismissed=("x-4",)),
    ]

    # When
    dead = dead_of(accounts, [present])

    # Then
    assert [(one.sighting.instance, one.at) for one in dead] == [
        ("x-2", NOW + 1),
        ("x-3", NOW - 9),
    ]


def test_dead_of__very_many_made_up__bounded() -> None:
    # Given
    accounts = [
        EventsAnswer(
            instance=f"{n}", alive=1, deaths=(death(n), death(n + 1000, NOW - 1))
        )
        for n in range(1000)
    ]

    # When
    dead = dead_of(accounts, [])

    # Then: those that died last
    assert len(dead) == MOST_DEAD
    assert {one.at for one in dead} == {NOW}


def test_findings__nothing_expected__the_dead_with_when_and_what_to_do() -> None:
    # When
    [finding] = death_findings([death(1)], [made_up(2)], 0)

    # Then
    assert finding.reason == "pod-1 (1) died, and has not come back."
    assert finding.since == NOW
    assert finding.runbook == RUNBOOK
    assert finding.consequence


def test_findings__many_dead__counted() -> None:
    # Given
    dead = [death(number, NOW - number) for number in range(1, 6)]

    # When
    [finding] = death_findings(dead, [made_up(9)], 0)

    # Then
    assert finding.reason == "5 instances died, and have not come back."
    assert finding.since == NOW - 5


def test_findings__as_many_hosts_as_expected__none_whoever_died() -> None:
    assert reasons([death(1)], [made_up(1), made_up(2)], 2) == []
    assert reasons([death(1)], [made_up(1), made_up(2), made_up(3)], 2) == []


def test_findings__fewer_hosts_than_expected__said_and_workers_count_once() -> None:
    # Given
    workers = [made_up(number, host="pod", worker=number) for number in range(3)]
    leaving = made_up(8, draining=True)

    # Then
    assert hosts_of([*workers, leaving]) == 1
    assert reasons([], [*workers, leaving], 3) == ["1 of 3 expected instances answers."]
    assert reasons([], [*workers, made_up(9)], 3) == [
        "2 of 3 expected instances answer."
    ]


def test_expected_of__settings_of_instances_and_of_who_asks__the_most() -> None:
    # Given
    accounts = [
        EventsAnswer(instance="a", alive=1),
        EventsAnswer(instance="b", alive=1, expected=3),
    ]

    # Then
    assert expected_of(accounts, 2) == 3
    assert expected_of([], 2) == 2
    assert expected_of([], 0) == 0
