"""Who is alive, by a clock set by hand."""

import msgspec
import pytest

from realtime.fleet.messages import (
    MOST_LISTED,
    MOST_OVERDUE,
    Answer,
    LatestUpdate,
    Sighting,
    decode,
    encode,
)
from realtime.fleet.presence import (
    MAX_INSTANCES,
    OVERDUE_SECONDS,
    REMEMBER_SECONDS,
    Roll,
    not_present,
)
from tests.support.simulated_fleet import made_up


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roll(clock: Clock) -> Roll:
    return Roll(clock)


def seen(instance: str = "one", *, left: bool = False) -> Sighting:
    return Sighting(instance=instance, host="host", pid=1, left=left)


def test_note__first_and_second_time__says_which(roll: Roll) -> None:
    assert roll.note(seen()) is True
    assert roll.note(seen()) is False


def test_note__was_away_for_too_long__is_new_again(roll: Roll, clock: Clock) -> None:
    # Given
    roll.note(seen())

    # When
    clock.now += OVERDUE_SECONDS

    # Then: it may have forgotten the others meanwhile
    assert roll.note(seen()) is True


def test_note__says_that_it_leaves__not_new(roll: Roll) -> None:
    assert roll.note(seen(left=True)) is False
    assert roll.note(seen(left=True)) is False


def test_note__report_that_names_no_address__address_of_the_beacon_stays(
    roll: Roll,
) -> None:
    # Given
    roll.note(msgspec.structs.replace(seen(), address="192.0.2.1:8000"))

    # When
    roll.note(seen())

    # Then: updates can still be relayed to it
    assert [one.address for one in roll.seen()] == ["192.0.2.1:8000"]


def test_seen__some_time_later__tells_how_long_ago(roll: Roll, clock: Clock) -> None:
    # Given
    roll.note(seen("one"))
    clock.now += 10
    roll.note(seen("two"))

    # When
    clock.now += 1

    # Then
    assert {s.instance: s.ago for s in roll.seen()} == {"one": 11, "two": 1}


def test_seen__after_a_minute__forgotten(roll: Roll, clock: Clock) -> None:
    # Given
    roll.note(seen())

    # When / Then
    clock.now += REMEMBER_SECONDS
    assert len(roll.seen()) == 1
    clock.now += 0.1
    assert roll.seen() == []
    assert roll.note(seen()) is True


def test_alive__silent_for_too_long__overdue(roll: Roll, clock: Clock) -> None:
    # Given
    roll.note(seen("silent"))
    roll.note(seen("heard"))
    assert (roll.alive(), roll.overdue()) == (2, [])

    # When
    clock.now += OVERDUE_SECONDS
    roll.note(seen("heard"))

    # Then
    assert roll.alive() == 1
    assert [s.instance for s in roll.overdue()] == ["silent"]


def test_alive__left_with_a_last_word__overdue_at_once(roll: Roll) -> None:
    # Given
    roll.note(seen())

    # When
    roll.note(seen(left=True))

    # Then
    assert roll.alive() == 0
    assert [s.left for s in roll.overdue()] == [True]


def test_note__more_than_the_memory_holds__the_one_longest_unheard_goes(
    roll: Roll,
) -> None:
    # Given
    for number in range(MAX_INSTANCES):
        roll.note(seen(str(number)))
    roll.note(seen("0"))

    # When
    roll.note(seen("one more"))

    # Then
    instances = {s.instance for s in roll.seen()}
    assert len(instances) == MAX_INSTANCES
    assert {"0", "one more"} <= instances
    assert "1" not in instances


def test_not_present__very_many_made_up__those_seen_last() -> None:
    # Given
    sightings = [
        msgspec.structs.replace(seen(str(number)), ago=number % 2)
        for number in range(2 * MAX_INSTANCES)
    ]

    # When
    missing = not_present(sightings, ())

    # Then
    assert len(missing) == MAX_INSTANCES
    assert {one.ago for one in missing} == {0}


def test_answer__more_than_an_instance_can_have_to_say__no_answer() -> None:
    # Given
    latest = LatestUpdate("key", "1", 1, 1)
    overdue = (seen(),) * (MOST_OVERDUE + 1)
    too_much = [
        Answer(report=made_up(latest=(latest,) * (MOST_LISTED + 1)), alive=1),
        Answer(report=made_up(), alive=1, overdue=overdue),
    ]

    # When / Then
    assert [decode(encode(answer), Answer) for answer in too_much] == [None, None]
