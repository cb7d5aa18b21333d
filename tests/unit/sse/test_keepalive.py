"""What becomes of a stream as time passes: its keep-alives, and its end."""

from structlog.testing import capture_logs

from realtime.sse.frames import KEEPALIVE
from realtime.sse.hub import Hub
from tests.unit.sse.recording import (
    FIRST,
    ONE,
    Broken,
    Clock,
    Recorder,
    broadcast,
    latest,
)


async def test_turn__one_raises__the_rest_are_kept_alive(
    hub: Hub, clock: Clock
) -> None:
    # Given
    broken = Broken()
    others = [Recorder() for _ in range(20)]
    for subscriber in (broken, *others):
        hub.subscribe("a", subscriber)

    # When
    clock.now += 15.5
    with capture_logs():
        await hub.turn()

    # Then
    assert all(s.frames == [KEEPALIVE] for s in others)
    assert broken.aborted
    assert hub.subscribers == 20


async def test_turn__quiet_for_the_interval__one_keepalive_an_interval(
    hub: Hub, clock: Clock
) -> None:
    # Given
    subscriber = Recorder()
    hub.subscribe("a", subscriber)
    sent_at = []

    # When
    start = clock.now
    while clock.now < start + 47:
        clock.now += 0.25
        before = len(subscriber.frames)
        await hub.turn()
        if len(subscriber.frames) > before:
            sent_at.append(clock.now - start)

    # Then: never before 15 s of silence, never more than two ticks after them.
    assert len(sent_at) == 3
    gaps = [b - a for a, b in zip([0.0, *sent_at], sent_at, strict=False)]
    assert all(15 <= gap <= 15.5 for gap in gaps)


async def test_turn__update_sent_meanwhile__keepalive_put_off(
    hub: Hub, clock: Clock
) -> None:
    # Given
    subscriber = Recorder()
    hub.subscribe("a", subscriber)
    clock.now += 14
    await hub.turn()
    broadcast(hub, "a", latest(ONE))

    # When
    clock.now += 14.9
    await hub.turn()

    # Then
    assert subscriber.frames == [FIRST]

    # When
    clock.now += 0.6
    await hub.turn()

    # Then
    assert subscriber.frames == [FIRST, KEEPALIVE]


async def test_turn__thousands_due_at_once__each_visited_once(
    hub: Hub, clock: Clock
) -> None:
    # Given
    subscribers = [Recorder() for _ in range(2000)]
    for subscriber in subscribers:
        hub.subscribe("a", subscriber)
    hub.unsubscribe(subscribers[0], "client")

    # When
    clock.now += 15.5
    await hub.turn()

    # Then
    assert subscribers[0].frames == []
    assert all(s.frames == [KEEPALIVE] for s in subscribers[1:])


async def test_turn__max_stream_age__ends_streams_at_different_times(
    clock: Clock,
) -> None:
    # Given
    hub = Hub(keepalive=15, max_stream_age=100, clock=clock)
    subscribers = [Recorder() for _ in range(200)]
    for subscriber in subscribers:
        hub.subscribe("a", subscriber)

    # When
    ended = []
    start = clock.now
    for elapsed in range(0, 160, 5):
        clock.now = start + elapsed
        await hub.turn()
        ended.append(sum(s.ended for s in subscribers))

    # Then: from half the age to one and a half of it.
    assert ended[9] == 0
    assert 0 < ended[20] < 200
    assert ended[-1] == 200
    assert hub.subscribers == 0


async def test_turn__lagging_for_too_long__given_up(clock: Clock) -> None:
    # Given
    hub = Hub(keepalive=15, max_stream_age=0, clock=clock, stall=60)
    stuck, slow = Recorder(), Recorder()
    for subscriber in (stuck, slow):
        hub.subscribe("a", subscriber)
        subscriber.lagging_since = clock.now

    # When
    for _ in range(100):
        clock.now += 1
        if int(clock.now) % 30 == 0:
            slow.lagging_since = clock.now  # caught up, and fell behind again
        await hub.turn()

    # Then
    assert stuck.aborted
    assert not slow.aborted
    assert hub.subscribers == 1


async def test_turn__lagging_because_its_peer_has_vanished__left_to_the_kernel(
    clock: Clock,
) -> None:
    # Given
    hub = Hub(keepalive=15, max_stream_age=0, clock=clock, stall=60)
    subscriber = Recorder()
    subscriber.away = True
    hub.subscribe("a", subscriber)
    subscriber.lagging_since = clock.now

    # When
    for _ in range(100):
        clock.now += 1
        await hub.turn()

    # Then
    assert hub.subscribers == 1

    # When: it is back, and does not read
    subscriber.away = False
    for _ in range(16):
        clock.now += 1
        await hub.turn()

    # Then
    assert subscriber.aborted
    assert hub.subscribers == 0


async def test_turn__old_enough_but_lagging__ended_when_written_or_given_up(
    clock: Clock,
) -> None:
    # Given
    hub = Hub(keepalive=15, max_stream_age=20, clock=clock, stall=60)
    stuck, slow = Recorder(), Recorder()
    for subscriber in (stuck, slow):
        hub.subscribe("a", subscriber)
        subscriber.lagging_since = clock.now

    # When: both are older than any may become
    for _ in range(40):
        clock.now += 1
        await hub.turn()

    # Then
    assert hub.subscribers == 2

    # When
    slow.lagging_since = None
    clock.now += 1
    await hub.turn()

    # Then
    assert slow.ended
    assert not slow.aborted

    # When
    clock.now += 30
    await hub.turn()

    # Then
    assert stuck.aborted
    assert not stuck.ended
    assert hub.subscribers == 0
