"""Who may try to publish while NATS is away, and when again."""

import pytest

from realtime.exceptions import InvalidUpdate, NatsUnavailable, PublishFailed
from realtime.flagsmith.outage import (
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    Outage,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    return Outage(clock)


def succeed() -> None:
    """What was published was stored."""


def fail() -> None:
    raise NatsUnavailable("away")


def test_attempt__success__no_outage(outage: Outage) -> None:
    # When / Then
    assert outage.attempt(succeed)
    assert not outage.lasts


@pytest.mark.parametrize("error", [NatsUnavailable("away"), PublishFailed("late")])
def test_attempt__failure__an_outage_until_the_next_success(
    outage: Outage, error: Exception
) -> None:
    # Given
    def publish() -> None:
        raise error

    # When / Then
    assert not outage.attempt(publish)
    assert outage.lasts
    assert outage.attempt(succeed)
    assert not outage.lasts


def test_attempt__while_another_waits__not_made(outage: Outage) -> None:
    # Given
    outage.attempt(fail)
    others = []

    def publish() -> None:
        others.append(outage.attempt(succeed))

    # When
    stored = outage.attempt(publish)

    # Then
    assert stored
    assert others == [False]


def test_attempt__an_update_that_is_none__raised_and_the_next_may_try(
    outage: Outage,
) -> None:
    # Given
    def publish() -> None:
        raise InvalidUpdate("updated_at", "no")

    outage.attempt(fail)

    # When / Then
    with pytest.raises(InvalidUpdate):
        outage.attempt(publish)
    assert outage.attempt(succeed)


@pytest.mark.parametrize(
    ("lasted", "seconds"),
    [(0, FIRST_RETRY_SECONDS), (6, 6), (3600, LAST_RETRY_SECONDS)],
)
def test_retry_seconds__grow_with_the_outage__within_bounds(
    outage: Outage, clock: Clock, lasted: float, seconds: float
) -> None:
    # Given
    outage.attempt(fail)
    # When
    clock.now += lasted
    # Then
    assert seconds / 2 <= outage.retry_seconds() <= seconds * 1.5


def test_retry_seconds__after_an_outage__short_again(
    outage: Outage, clock: Clock
) -> None:
    # Given
    outage.attempt(fail)
    clock.now += 60
    outage.attempt(succeed)
    # When
    outage.attempt(fail)
    # Then
    assert outage.retry_seconds() <= FIRST_RETRY_SECONDS * 1.5
