"""The hub on its own: subscribers that keep what they get, a clock set by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.values import MutexValue
from structlog.testing import capture_logs

from realtime import metrics
from realtime.sse.broadcaster import CHECKED
from realtime.sse.hub import Hub, Latest
from realtime.sse.subscriber import Subscriber
from realtime.updates import KEEPALIVE, Frame, Update

ONE, TWO = Update("a", "1"), Update("a", "2")
FIRST, SECOND = ONE.frame(), TWO.frame()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recorder(Subscriber):
    """A subscriber that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.ended = False
        self.aborted = False
        self.away = False

    def vanished(self, seconds: float) -> bool:
        return self.away

    def write(self, frame: Frame) -> None:
        self.frames.append(frame)

    def keepalive(self) -> None:
        self.frames.append(KEEPALIVE)

    def end(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True


class Broken(Recorder):
    """A subscriber whose verbs raise, which they are not to."""

    def write(self, frame: Frame) -> None:
        raise RuntimeError("a bug")

    def keepalive(self) -> None:
        raise RuntimeError("a bug")

    def end(self) -> None:
        raise RuntimeError("a bug")


@pytest.fixture
def clock() -> Clock:
    return Clock()


turns: list[Callable[[], None]] = []
"""What is to be called in the event loop's next turn."""


@pytest.fixture
def hub(clock: Clock) -> Hub:
    turns.clear()
    return Hub(keepalive=15, max_stream_age=0, clock=clock, call_soon=turns.append)


def broadcast(hub: Hub, environment: str, latest: Latest) -> int:
    """Broadcast, and let the event loop turn until everybody has been told; how many
    that were."""
    counts = [0]
    on_told = hub.broadcast(environment, latest)
    if on_told is not None:
        on_told.append(counts.append)
    while turns:
        turns.pop(0)()
    return counts[-1]


def latest(update: Update, identity: int = 1, expires_at: float = 9999) -> Latest:
    return Latest(update, (identity, 0), expires_at)


def test_broadcast__two_environments__reaches_subscribers_of_one(hub: Hub) -> None:
    # Given
    here, also_here, elsewhere = Recorder(), Recorder(), Recorder()
    hub.subscribe("a", here)
    hub.subscribe("a", also_here)
    hub.subscribe("b", elsewhere)

    # When
    written = broadcast(hub, "a", latest(ONE))

    # Then
    assert written == 2
    assert here.frames == also_here.frames == [FIRST]
    assert elsewhere.frames == []


def test_broadcast__one_raises__the_rest_get_it(hub: Hub) -> None:
    # Given
    first, broken, last = Recorder(), Broken(), Recorder()
    for subscriber in (first, broken, last):
        hub.subscribe("a", subscriber)

    # When
    with capture_logs() as logs:
        written = broadcast(hub, "a", latest(ONE))

    # Then
    assert written == 2
    assert first.frames == last.frames == [FIRST]
    assert broken.aborted
    assert hub.subscribers == 2
    assert [e["event"] for e in logs] == ["stream.failed"]


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


async def test_end_all__one_raises__the_rest_are_ended(hub: Hub) -> None:
    # Given
    broken, other = Broken(), Recorder()
    for subscriber in (broken, other):
        hub.subscribe("a", subscriber)

    # When
    with capture_logs():
        await hub.end_all(0)

    # Then
    assert other.ended
    assert broken.aborted


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
    hub.reschedule_expiry(lambda one: one.expires_at + 10)
    clock.now += 15

    # Then
    assert hub.subscribe("a", Recorder()) == FIRST

    # When: and for a shorter time again
    hub.reschedule_expiry(lambda one: one.expires_at - 10)

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
    assert list(hub._latest) == ["b"]


def test_forget__environment_gone_from_the_store__no_replay(hub: Hub) -> None:
    # Given
    broadcast(hub, "a", latest(ONE))
    broadcast(hub, "b", latest(TWO))

    # When
    hub.forget(lambda environment, _: environment != "b")

    # Then
    assert hub.subscribe("a", Recorder()) is None
    assert hub.subscribe("b", Recorder()) == SECOND


def test_unsubscribe__last_of_environment__leaves_no_trace(hub: Hub) -> None:
    # Given
    subscribers = [Recorder() for _ in range(3)]
    for subscriber in subscribers:
        hub.subscribe("a", subscriber)
    assert (hub.subscribers, hub.environments) == (3, 1)

    # When
    for subscriber in subscribers:
        hub.unsubscribe(subscriber, "client")
        hub.unsubscribe(subscriber, "client")

    # Then
    assert (hub.subscribers, hub.environments) == (0, 0)
    assert not hub._environments
    assert not any(hub._wheel.values())


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


async def test_end_all__many_streams__ended_in_turn_within_the_time() -> None:
    # Given: a real event loop's clock
    clock = asyncio.get_running_loop().time
    hub = Hub(keepalive=15, max_stream_age=0, clock=clock)
    subscribers = [Recorder() for _ in range(100)]
    for subscriber in subscribers:
        hub.subscribe("a", subscriber)

    # When
    draining = asyncio.create_task(hub.end_all(0.3))
    await asyncio.sleep(0.1)
    midway = sum(s.ended for s in subscribers)
    await draining

    # Then
    assert 0 < midway < 100
    assert all(s.ended for s in subscribers)
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


def test_latest__unless_it_is_a_probes__the_newest_of_the_others(hub: Hub) -> None:
    # Given
    for environment in ("first", "second", "probe-a", "third", "probe-b"):
        broadcast(hub, environment, latest(ONE))

    # When
    newest = hub.latest(2, unless=lambda key: key.startswith("probe-"))

    # Then
    assert [environment for environment, _ in newest] == ["third", "second"]


def test_broadcast__many_subscribers__metric_operations_for_turns_not_for_each(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    operations: list[str] = []
    for name in ("inc", "set"):
        original = getattr(MutexValue, name)

        def counted(self: MutexValue, value: float, original: Any = original) -> None:
            operations.append(original.__name__)
            original(self, value)

        monkeypatch.setattr(MutexValue, name, counted)
    hub.subscribe("few", Recorder())
    for _ in range(1000):
        hub.subscribe("many", Recorder())
    operations.clear()

    # When
    broadcast(hub, "few", latest(ONE))
    few = len(operations)
    broadcast(hub, "many", latest(ONE))

    # Then: one for each turn, of which a slow machine needs one for 32 subscribers
    assert few == 1
    assert len(operations) - few <= 1000 / CHECKED + 1
    assert few <= 3


def test_busiest__more_environments_than_asked_for__most_subscribers_first(
    hub: Hub,
) -> None:
    # Given
    for environment, count in {"few": 1, "most": 3, "some": 2}.items():
        for _ in range(count):
            hub.subscribe(environment, Recorder())

    # When / Then
    assert hub.busiest(2) == [("most", 3), ("some", 2)]


def test_latest__updated_again__newest_first(hub: Hub) -> None:
    # Given
    for identity, environment in enumerate(["a", "b", "c", "a"]):
        broadcast(hub, environment, latest(ONE, identity))

    # When / Then
    assert [environment for environment, _ in hub.latest(2)] == ["a", "c"]
    assert hub.latest(1)[0][1].identity == latest(ONE, 3).identity


@pytest.mark.parametrize(
    ("latest_known", "quiet_for", "kind"),
    [(False, 0, "keepalive"), (True, 0, "data"), (True, 15.5, "keepalive")],
)
async def test_unsubscribe__connection_broke__error_of_what_was_written_last(
    hub: Hub, clock: Clock, latest_known: bool, quiet_for: float, kind: str
) -> None:
    # Given
    if latest_known:
        broadcast(hub, "x", latest(ONE))
    subscriber = Recorder()
    hub.subscribe("x", subscriber)
    clock.now += quiet_for
    await hub.turn()
    before = metrics.http_errors[kind]._value.get()

    # When
    hub.unsubscribe(subscriber, "error")

    # Then
    assert metrics.http_errors[kind]._value.get() == before + 1


async def test_unsubscribe__backed_up__error_of_the_data_that_waits(
    hub: Hub, clock: Clock
) -> None:
    # Given: its keep-alives are not sent
    subscriber = Recorder()
    hub.subscribe("x", subscriber)
    clock.now += 1
    broadcast(hub, "x", latest(ONE))
    subscriber.lagging_since = clock.now
    clock.now += 16
    await hub.turn()
    before = metrics.http_errors["data"]._value.get()

    # When
    hub.unsubscribe(subscriber, "stalled")

    # Then
    assert metrics.http_errors["data"]._value.get() == before + 1
