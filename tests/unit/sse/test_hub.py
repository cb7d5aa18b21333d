"""The hub on its own: who gets what."""

import asyncio
from typing import Any

import pytest
from prometheus_client.values import MutexValue
from structlog.testing import capture_logs

from realtime import metrics
from realtime.sse.broadcaster import CHECKED
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
    assert not any(hub._wheel._slots.values())


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
