"""The latest update of each environment: which it is, and who is sent it."""

import pytest

from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from tests.unit.sse.recording import (
    FIRST,
    ONE,
    SECOND,
    TWO,
    Clock,
    Recorder,
    broadcast,
    latest,
)


def test_broadcast__same_update_read_again__not_written_again(hub: Hub) -> None:
    # Given
    subscriber = Recorder()
    hub.subscribe("a", subscriber)
    broadcast(hub, "a", latest(ONE, identity=1))

    # When
    written = broadcast(hub, "a", latest(ONE, identity=1))

    # Then
    assert written == 0
    assert subscriber.frames == [FIRST]


def test_broadcast__one_from_before_the_latest__not_written(hub: Hub) -> None:
    # Given
    subscriber = Recorder()
    hub.subscribe("a", subscriber)
    broadcast(hub, "a", Latest(TWO, (2, 20), 9999))

    # When: a replica that was cut off from the others is read
    written = broadcast(hub, "a", Latest(ONE, (1, 10), 9999))

    # Then
    assert written == 0
    assert subscriber.frames == [SECOND]
    assert hub.subscribe("a", Recorder()) == SECOND


@pytest.mark.parametrize(
    "other",
    [
        # The stream was made anew, on a machine whose clock is behind.
        Latest(ONE, (1, 10), 9999, "another"),
        # The end of the stream was lost with its server's machine.
        Latest(ONE, (1, 30), 9999),
        # The clock of the server that leads the stream now is behind.
        Latest(ONE, (3, 10), 9999),
    ],
)
def test_broadcast__only_number_or_time_before_the_latest__written(
    hub: Hub, other: Latest
) -> None:
    # Given
    subscriber = Recorder()
    hub.subscribe("a", subscriber)
    broadcast(hub, "a", Latest(TWO, (2, 20), 9999))

    # When
    broadcast(hub, "a", other)

    # Then
    assert subscriber.frames == [SECOND, FIRST]


def test_broadcast__equal_update_published_anew__written_again(hub: Hub) -> None:
    # Given
    subscriber = Recorder()
    hub.subscribe("a", subscriber)
    broadcast(hub, "a", latest(ONE, identity=1))

    # When
    broadcast(hub, "a", latest(ONE, identity=2))

    # Then
    assert subscriber.frames == [FIRST, FIRST]


def test_subscribe__after_updates__returns_the_newest(hub: Hub) -> None:
    # Given
    broadcast(hub, "a", latest(ONE, identity=1))
    broadcast(hub, "a", latest(TWO, identity=2))

    # When
    replayed = hub.subscribe("a", Recorder())

    # Then
    assert replayed == SECOND
    assert hub.subscribe("b", Recorder()) is None


def test_reschedule_expiry__store_keeps_it_longer__replayed_for_longer(
    hub: Hub, clock: Clock
) -> None:
    # Given
    broadcast(hub, "a", latest(ONE, expires_at=clock.now + 10))

    # When
    hub.latest.reschedule_expiry(lambda one: one.expires_at + 10)
    clock.now += 15

    # Then
    assert hub.subscribe("a", Recorder()) == FIRST

    # When: and for a shorter time again
    hub.latest.reschedule_expiry(lambda one: one.expires_at - 10)

    # Then
    assert hub.subscribe("a", Recorder()) is None


def test_subscribe__latest_has_expired__returns_nothing(hub: Hub, clock: Clock) -> None:
    # Given
    broadcast(hub, "a", latest(ONE, expires_at=clock.now + 10))

    # When
    clock.now += 10

    # Then
    assert hub.subscribe("a", Recorder()) is None


async def test_turn__latest_has_expired__forgotten_without_subscribers(
    hub: Hub, clock: Clock
) -> None:
    # Given
    broadcast(hub, "a", latest(ONE, expires_at=clock.now + 10))
    broadcast(hub, "b", latest(TWO, expires_at=clock.now + 20))

    # When
    clock.now += 15
    await hub.turn()

    # Then
    assert list(hub.latest._latest) == ["b"]


def test_forget__environment_gone_from_the_store__no_replay(hub: Hub) -> None:
    # Given
    broadcast(hub, "a", latest(ONE))
    broadcast(hub, "b", latest(TWO))

    # When
    hub.latest.forget(lambda environment, _: environment != "b")

    # Then
    assert hub.subscribe("a", Recorder()) is None
    assert hub.subscribe("b", Recorder()) == SECOND


def test_latest__unless_it_is_a_probes__the_newest_of_the_others(hub: Hub) -> None:
    # Given
    for environment in ("first", "second", "probe-a", "third", "probe-b"):
        broadcast(hub, environment, latest(ONE))

    # When
    newest = hub.latest.newest(2, unless=lambda key: key.startswith("probe-"))

    # Then
    assert [environment for environment, _ in newest] == ["third", "second"]


def test_latest__updated_again__newest_first(hub: Hub) -> None:
    # Given
    for identity, environment in enumerate(["a", "b", "c", "a"]):
        broadcast(hub, environment, latest(ONE, identity))

    # When / Then
    assert [environment for environment, _ in hub.latest.newest(2)] == ["a", "c"]
    assert hub.latest.newest(1)[0][1].identity == latest(ONE, 3).identity
