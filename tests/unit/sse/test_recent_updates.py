"""What is remembered of updates: of each environment, within bounds."""

import pytest

from realtime.sse import environment_subscribers, recent_updates
from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from realtime.sse.recent_updates import MOST_OF_ONE, REMEMBERED_SECONDS, RecentUpdates
from realtime.updates import Update
from tests.unit.sse.recording import Clock, Recorder


def latest(number: int, updated_at: str = "") -> Latest:
    return Latest(Update(updated_at or str(number)), (number, 0), 9999)


def test_of__environment_that_nobody_updated__nothing(clock: Clock) -> None:
    assert RecentUpdates(clock).of("a") == ([], False)


def test_of__several_updates__newest_first(clock: Clock) -> None:
    # Given
    remembered = RecentUpdates(clock)

    # When
    for number in (1, 2, 3):
        remembered.note("a", latest(number))
    remembered.note("b", latest(4))
    seen, cut = remembered.of("a")

    # Then
    assert [one.identity[0] for one in seen] == [3, 2, 1]
    assert not cut


def test_of__more_than_are_kept_of_one__said(clock: Clock) -> None:
    # Given
    remembered = RecentUpdates(clock)
    for number in range(MOST_OF_ONE + 1):
        remembered.note("a", latest(number))

    # When
    seen, cut = remembered.of("a")

    # Then
    assert len(seen) == MOST_OF_ONE
    assert seen[0].identity[0] == MOST_OF_ONE
    assert cut
    assert remembered.of("b") == ([], False)

    # When: what was left out is older than an hour
    clock.now += REMEMBERED_SECONDS + 1

    # Then
    assert remembered.of("a") == ([], False)


def test_note__more_than_fit_altogether__those_updated_longest_ago_go(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(recent_updates, "MOST", 3)
    remembered = RecentUpdates(clock)
    for number, environment in enumerate(("a", "b", "a", "c", "d")):
        # When
        remembered.note(environment, latest(number))

    # Then
    assert len(remembered) == 3
    kept = {name: len(remembered.of(name)[0]) for name in "abcd"}
    assert kept == {"a": 1, "b": 0, "c": 1, "d": 1}
    assert remembered.of("b")[1]


def test_note__time_of_4_kb__not_kept_whole(clock: Clock) -> None:
    # When
    seen = RecentUpdates(clock).note("a", latest(1, "1" * 4000))

    # Then
    assert len(seen.updated_at) == recent_updates.LONGEST_TIME


def test_hub__update__remembered_when_all_have_been_told(clock: Clock) -> None:
    # Given
    turns: list[object] = []
    hub = Hub(keepalive=15, max_stream_age=0, clock=clock, call_soon=turns.append)
    for _ in range(3):
        hub.subscribe("a", Recorder())

    # When
    hub.broadcast("a", latest(1))
    hub.broadcast("b", latest(2))

    # Then
    [waiting] = hub.recent.of("a")[0]
    [nobody] = hub.recent.of("b")[0]
    assert waiting.written_at is None
    assert (nobody.written_at, nobody.subscribers) == (nobody.read_at, 0)

    # When
    turns.pop()()  # type: ignore[operator]

    # Then
    assert waiting.written_at is not None
    assert waiting.subscribers == 3


def test_crowd__subscribers_that_came_in_turn__oldest_and_newest(clock: Clock) -> None:
    # Given
    hub = Hub(keepalive=15, max_stream_age=0, clock=clock)
    subscribers = [Recorder() for _ in range(3)]
    for kind, subscriber in zip(("go", "ios", "go"), subscribers, strict=True):
        subscriber.client = kind
        hub.subscribe("a", subscriber)
        clock.now += 10
    subscribers[1].lagging_since = clock.now

    # When
    looked = hub.subscribers_of("a")

    # Then
    assert (looked.subscribers, looked.visited, looked.lagging) == (3, 3, 1)
    assert looked.clients == {"go": 2, "ios": 1}
    assert hub.by_client == {"go": 2, "ios": 1}
    assert (looked.oldest, looked.newest) == (30, 10)

    # When
    hub.unsubscribe(subscribers[0], "client")
    looked = hub.subscribers_of("a")

    # Then
    assert (looked.oldest, looked.newest) == (20, 10)
    assert hub.by_client == {"go": 1, "ios": 1}
    assert hub.subscribers_of("b").oldest is None


def test_crowd__more_than_are_visited__counted_all_the_same(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(environment_subscribers, "MOST_VISITED", 2)
    hub = Hub(keepalive=15, max_stream_age=0, clock=clock)
    for _ in range(3):
        hub.subscribe("a", Recorder())

    # When
    looked = hub.subscribers_of("a")

    # Then
    assert (looked.subscribers, looked.visited) == (3, 2)
    assert looked.clients == {"other": 2}
