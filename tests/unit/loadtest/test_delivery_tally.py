"""Who has got which update, among the subscribers of one process."""

from array import array

from realtime.loadtest.delivery_tally import KEPT_UPDATES, DeliveryTally
from realtime.loadtest.messages import UpdateResult

FOUR_CONNECTED = bytearray([1, 1, 1, 1])


def test_tally__everybody_got_it__is_settled_at_once_and_only_once() -> None:
    # Given
    tally = DeliveryTally(4)
    tally.announce(10.0, 15.0, FOUR_CONNECTED)
    update = tally.update(10.0)
    for number in range(4):
        update.got[number] = 1
        update.times.append(10.5)

    # When
    [first], again = tally.settle(11), tally.settle(11)

    # Then
    assert first == UpdateResult(10.0, 4, 4, 0, 0, array("d", [0.5] * 4))
    assert again == []
    assert tally.received == 4


def test_tally__due__tells_superseded_from_missing() -> None:
    # Given: of four, one got both updates, one the later one only, two neither
    tally = DeliveryTally(4)
    earlier, later = tally.update(10.0), tally.update(11.0)
    earlier.got[0] = later.got[0] = later.got[1] = 1
    earlier.times, later.times = [10.1], [11.1, 11.2]
    tally.announce(10.0, 15.0, FOUR_CONNECTED)

    # When
    before, [at_last] = tally.settle(14.9), tally.settle(15.0)

    # Then
    assert before == []
    assert (at_last.expected, at_last.received) == (4, 1)
    assert (at_last.superseded, at_last.missing) == (1, 2)


def test_tally__got_it_and_left__was_expected_to() -> None:
    # Given
    tally = DeliveryTally(4)
    update = tally.update(10.0)
    update.got[3], update.times = 1, [10.1]

    # When
    tally.announce(10.0, 15.0, bytearray(4))

    # Then
    [settled] = tally.settle(10.2)
    assert (settled.expected, settled.received, settled.missing) == (1, 1, 0)


def test_tally__somebody_elses_update__counts_for_nothing() -> None:
    # Given
    tally = DeliveryTally(4)

    # When
    tally.update(9.0).times.append(10)
    tally.update(9.0).duplicates += 1

    # Then
    assert tally.settle(1e9) == []
    assert tally.is_settled
    assert (tally.received, tally.duplicates) == (0, 0)


def test_tally__many_updates__keeps_the_counts_and_forgets_the_rest() -> None:
    # Given
    tally = DeliveryTally(1)

    # When
    for value in range(3 * KEPT_UPDATES):
        update = tally.update(value)
        update.got[0], update.times, update.duplicates = 1, [value + 0.5], 1
        tally.announce(value, value + 5, bytearray([1]))
        tally.settle(value + 1)

    # Then
    assert (tally.received, tally.duplicates) == (3 * KEPT_UPDATES, 3 * KEPT_UPDATES)
    assert len(tally._updates) == KEPT_UPDATES
