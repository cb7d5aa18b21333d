"""Telling subscribers a few milliseconds at a time: nobody is skipped, nobody is told
twice, nobody waits for somebody else's environment, and the newest wins."""

from collections import Counter
from collections.abc import Callable

from realtime.sse.broadcaster import CHECKED, TURN_SECONDS, Broadcaster
from realtime.sse.frames import Frame
from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from realtime.sse.subscriber import Subscriber
from realtime.updates import Update

SECONDS_A_WRITE = TURN_SECONDS / (2 * CHECKED)
"""So that a turn is over after two looks at the clock."""

A_TURN = 2 * CHECKED


class Slow(Subscriber):
    """Takes its time to be written to."""

    def __init__(self, clock: "Clock") -> None:
        super().__init__()
        self.environment = "a"
        self.frames: list[Frame] = []
        self._clock = clock

    def write(self, frame: Frame) -> None:
        self._clock.now += SECONDS_A_WRITE
        self.frames.append(frame)

    def keepalive(self) -> None:
        """Nothing here asks for it."""

    end = abort = keepalive


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Loop:
    """An event loop whose turns the test takes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.soon: list[Callable[[], None]] = []
        self.broadcaster = Broadcaster(
            lambda subscriber, error: None, self.soon.append, self.clock
        )

    def turn(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for callback in soon:
            callback()

    def turn_until_idle(self) -> int:
        turns = 0
        while self.soon:
            self.turn()
            turns += 1
        return turns

    def subscribers(self, count: int) -> dict[Subscriber, None]:
        return dict.fromkeys(Slow(self.clock) for _ in range(count))


def latest(number: int) -> Latest:
    return Latest(Update(str(number)), (number, 0), 9999)


def frames_of(subscribers: dict[Subscriber, None]) -> Counter[tuple[bytes, ...]]:
    """How many were told what."""
    return Counter(
        tuple(frame.body[-5:-3] for frame in s.frames)
        for s in subscribers
        if isinstance(s, Slow)
    )


def test_broadcaster__more_than_a_turn_can_tell__spread_over_turns() -> None:
    # Given
    loop = Loop()
    subscribers = loop.subscribers(5 * A_TURN)
    told: list[int] = []

    # When
    loop.broadcaster.offer("a", subscribers, latest(1)).append(told.append)
    loop.turn()

    # Then: a turn's worth, and nobody is said to have been told
    assert len(frames_of(subscribers)) == 2
    assert sum(bool(s.frames) for s in subscribers if isinstance(s, Slow)) == A_TURN
    assert not told

    # When
    turns = loop.turn_until_idle()

    # Then
    assert turns >= 4
    assert frames_of(subscribers) == {(b":1",): 5 * A_TURN}
    assert told == [5 * A_TURN]


def test_broadcaster__newer_one_meanwhile__rest_is_told_the_newest_only() -> None:
    # Given
    loop = Loop()
    subscribers = loop.subscribers(3 * A_TURN)
    told: list[str] = []
    loop.broadcaster.offer("a", subscribers, latest(1)).append(
        lambda count: told.append("first")
    )
    loop.turn()

    # When
    loop.broadcaster.offer("a", subscribers, latest(2)).append(
        lambda count: told.append("second")
    )
    loop.broadcaster.offer("a", subscribers, latest(3)).append(
        lambda count: told.append("third")
    )
    loop.turn_until_idle()

    # Then: those who had been told get it in their turn, and nobody gets any twice
    assert frames_of(subscribers) == {
        (b":1", b":3"): A_TURN,
        (b":3",): 2 * A_TURN,
    }
    assert told == ["first", "second", "third"]


def test_broadcaster__large_environment_first__small_ones_do_not_wait_for_it() -> None:
    # Given
    loop = Loop()
    large = loop.subscribers(20 * A_TURN)
    small = [loop.subscribers(1) for _ in range(5)]
    loop.broadcaster.offer("large", large, latest(1))

    # When
    for number, subscribers in enumerate(small):
        loop.broadcaster.offer(f"small-{number}", subscribers, latest(1))
    loop.turn()
    loop.turn()

    # Then
    assert all(frames_of(one) == {(b":1",): 1} for one in small)
    assert () in frames_of(large)


def test_broadcaster__one_leaves_and_one_comes_meanwhile__neither_is_told() -> None:
    # Given
    loop = Loop()
    subscribers = loop.subscribers(2 * A_TURN)
    update = latest(1)
    loop.broadcaster.offer("a", subscribers, update)
    loop.turn()

    # When: it has unsubscribed, and a new one got the latest on subscribing
    gone = next(reversed(subscribers))
    gone.environment = None
    del subscribers[gone]
    new = Slow(loop.clock)
    new.latest = update
    subscribers[new] = None
    loop.turn_until_idle()

    # Then
    assert isinstance(gone, Slow)
    assert (gone.frames, new.frames) == ([], [])
    assert frames_of(subscribers) == {(b":1",): 2 * A_TURN - 1, (): 1}


def test_broadcaster__what_is_called_afterwards_raises__everybody_is_told() -> None:
    # Given
    loop = Loop()
    subscribers, others = loop.subscribers(1), loop.subscribers(1)
    told: list[int] = []

    def raises(count: int) -> None:
        raise RuntimeError

    # When
    on_told = loop.broadcaster.offer("a", subscribers, latest(1))
    on_told.append(raises)
    on_told.append(told.append)
    loop.broadcaster.offer("b", others, latest(1))
    loop.turn_until_idle()
    loop.broadcaster.offer("a", subscribers, latest(2))
    loop.turn_until_idle()

    # Then
    assert told == [1]
    assert frames_of(subscribers) == {(b":1", b":2"): 1}
    assert frames_of(others) == {(b":1",): 1}


def test_hub__all_leave_and_one_comes_while_an_update_waits__told_the_next() -> None:
    # Given: a delivery of which nothing has been told yet, because it is not the first
    soon: list[Callable[[], None]] = []
    hub = Hub(keepalive=15, max_stream_age=0, clock=Clock(), call_soon=soon.append)
    hub.subscribe("b", Slow(Clock()))
    hub.broadcast("b", latest(1))
    first, second = Slow(Clock()), Slow(Clock())
    hub.subscribe("a", first)
    hub.broadcast("a", latest(1))
    hub.unsubscribe(first, "client")

    # When
    hub.subscribe("a", second)
    hub.broadcast("a", latest(2))
    while soon:
        soon.pop()()

    # Then
    assert [frame.body[-5:-3] for frame in second.frames] == [b":2"]
    assert not first.frames


def test_offer__few_subscribers_and_nothing_else__told_before_the_next_turn() -> None:
    # Given
    loop = Loop()
    few, others = loop.subscribers(CHECKED), loop.subscribers(1)
    told: list[int] = []

    # When
    on_told = loop.broadcaster.offer("a", few, latest(1))
    on_told.append(told.append)
    loop.broadcaster.offer("b", others, latest(1))

    # Then: it was told at once, and said to be told in a turn of its own
    assert frames_of(few) == {(b":1",): CHECKED}
    assert not told
    assert frames_of(others) == {(): 1}
    loop.turn_until_idle()
    assert told == [CHECKED]
    assert frames_of(others) == {(b":1",): 1}


def test_offer__several_updates_in_one_read__the_first_and_the_newest_told() -> None:
    # Given
    loop = Loop()
    subscribers = loop.subscribers(1)
    told: list[int] = []

    # When
    for number in range(1, 10):
        loop.broadcaster.offer("a", subscribers, latest(number)).append(told.append)
    loop.turn_until_idle()

    # Then
    assert frames_of(subscribers) == {(b":1", b":9"): 1}
    assert told == [1] * 9
