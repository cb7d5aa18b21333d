"""Who is alive, by a clock set by hand."""

import msgspec
import pytest

from realtime.fleet.messages import (
    MOST_LISTED,
    MOST_OVERDUE,
    Answer,
    LatestUpdate,
    Sighting,
)
from realtime.fleet.presence import (
    MAX_INSTANCES,
    OVERDUE_SECONDS,
    REMEMBER_SECONDS,
    Presence,
    not_present,
)
from realtime.fleet.wire_types import decode, encode
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
def presence(clock: Clock) -> Presence:
    return Presence(clock)


def seen(instance: str = "one", *, left: bool = False) -> Sighting:
    return Sighting(instance=instance, host="host", pid=1, left=left)


def test_note__first_and_second_time__says_which(presence: Presence) -> None:
    assert presence.note(seen()) is True
    assert presence.note(seen()) is False


def test_note__was_away_for_too_long__is_new_again(
    presence: Presence, clock: Clock
) -> None:
    # Given
    presence.note(seen())

    # When
    clock.now += OVERDUE_SECONDS

    # Then: it may have forgotten the others meanwhile
    assert presence.note(seen()) is True


def test_note__says_that_it_leaves__not_new(presence: Presence) -> None:
    assert presence.note(seen(left=True)) is False
    assert presence.note(seen(left=True)) is False


def test_note__report_that_names_no_address__address_of_the_beacon_stays(
    presence: Presence,
) -> None:
    # Given
    presence.note(msgspec.structs.replace(seen(), address="192.0.2.1:8000"))

    # When
    presence.note(seen())

    # Then: updates can still be relayed to it
    assert [one.address for one in presence.seen()] == ["192.0.2.1:8000"]


def test_seen__some_time_later__tells_how_long_ago(
    presence: Presence, clock: Clock
) -> None:
    # Given
    presence.note(seen("one"))
    clock.now += 10
    presence.note(seen("two"))

    # When
    clock.now += 1

    # Then
    assert {s.instance: s.ago for s in presence.seen()} == {"one": 11, "two": 1}


def test_seen__after_a_minute__forgotten(presence: Presence, clock: Clock) -> None:
    # Given
    presence.note(seen())

    # When / Then
    clock.now += REMEMBER_SECONDS
    assert len(presence.seen()) == 1
    clock.now += 0.1
    assert presence.seen() == []
    assert presence.note(seen()) is True


def test_alive__silent_for_too_long__overdue(presence: Presence, clock: Clock) -> None:
    # Given
    presence.note(seen("silent"))
    presence.note(seen("heard"))
    assert (presence.alive(), presence.overdue()) == (2, [])

    # When
    clock.now += OVERDUE_SECONDS
    presence.note(seen("heard"))

    # Then
    assert presence.alive() == 1
    assert [s.instance for s in presence.overdue()] == ["silent"]


def test_alive__left_with_a_last_word__overdue_at_once(presence: Presence) -> None:
    # Given
    presence.note(seen())

    # When
    presence.note(seen(left=True))

    # Then
    assert presence.alive() == 0
    assert [s.left for s in presence.overdue()] == [True]


def test_note__more_than_the_memory_holds__the_one_longest_unheard_goes(
    presence: Presence,
) -> None:
    # Given
    for number in range(MAX_INSTANCES):
        presence.note(seen(str(number)))
    presence.note(seen("0"))

    # When
    presence.note(seen("one more"))

    # Then
    instances = {s.instance for s in presence.seen()}
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
