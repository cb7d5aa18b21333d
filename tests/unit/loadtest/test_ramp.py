"""When each subscriber connects."""

from realtime.loadtest.ramp import MOST_AT_ONCE, Ramp


def test_ramp__over_time__each_is_due_once() -> None:
    # Given
    ramp = Ramp(range(10, 20), 4, now=100)

    # When
    due = [list(ramp.due(now)) for now in (100, 100.1, 101, 110, 111)]

    # Then
    assert due == [[10], [], [11, 12, 13, 14], [15, 16, 17, 18, 19], []]
    assert not ramp.left


def test_ramp__late__opens_no_more_than_a_few_at_once() -> None:
    # Given
    ramp = Ramp(range(10_000), 10_000, now=0)

    # When / Then
    assert len(ramp.due(1)) == MOST_AT_ONCE
