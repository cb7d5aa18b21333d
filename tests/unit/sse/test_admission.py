"""Who is let in, who waits, and for how long."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from realtime.lifecycle import Refusal
from realtime.sse.admission import Admission

NOT_CONNECTED = Refusal("nats", "NATS is not connected.")


class Instance:
    """What admission asks about."""

    def __init__(
        self, *, limit: int = 100, room: int = 200, delay: float = 0.2
    ) -> None:
        self.reason: Refusal | None = None
        self.streams = 0
        self.admission = Admission(
            refusal=lambda: self.reason,
            open_streams=lambda: self.streams,
            limit=limit,
            room=room,
            delay=delay,
        )

    async def wait(self, gone: Callable[[], Coroutine[Any, Any, None]]) -> bool | None:
        """Whether a stream is served in the end, as its endpoint decides it; None: the
        client went away."""
        if not await self.admission.hold(gone):
            return None
        return self.admission.refused() is None


async def stays() -> None:
    """A client that does not go away."""
    await asyncio.Event().wait()


async def leaves() -> None:
    """A client that goes away."""


def seconds() -> float:
    return asyncio.get_running_loop().time()


async def test_refused__all_is_well__not() -> None:
    assert Instance().admission.refused() is None


async def test_wait__refused__held_for_half_to_one_and_a_half_of_the_delay() -> None:
    # Given
    instance = Instance()
    instance.reason = NOT_CONNECTED

    # When
    began = seconds()
    held = []

    async def one() -> None:
        assert await instance.wait(stays) is False
        held.append(seconds() - began)

    await asyncio.gather(*(one() for _ in range(50)))

    # Then
    assert all(0.1 <= wait < 0.5 for wait in held)
    assert max(held) - min(held) > 0.05
    assert instance.admission.held == 0


async def test_wait__reason_passes_meanwhile__served() -> None:
    # Given
    instance = Instance(delay=60)
    instance.reason = NOT_CONNECTED
    waiting = [asyncio.create_task(instance.wait(stays)) for _ in "abc"]
    await asyncio.sleep(0)
    assert instance.admission.held == 3

    # When
    instance.reason = None
    instance.admission.review()

    # Then
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [True, True, True]
    assert instance.admission.held == 0


async def test_review__time_is_up_in_the_same_turn__served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given: a busy event loop, on which the time-out fires right before the review
    monkeypatch.setattr("realtime.sse.admission.jittered", lambda delay: delay)
    instance = Instance(delay=0.01)
    instance.reason = NOT_CONNECTED
    waiting = asyncio.create_task(instance.wait(stays))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    reviewed = loop.create_future()

    def review() -> None:
        instance.reason = None
        instance.admission.review()
        reviewed.set_result(None)

    loop.call_later(0.01, review)
    loop.call_soon(time.sleep, 0.05)

    # When
    admitted = await waiting

    # Then
    assert reviewed.done()
    assert admitted is True


async def test_wait__client_goes_away__nothing_to_answer() -> None:
    # Given
    instance = Instance(delay=60)
    instance.reason = NOT_CONNECTED

    # When
    admitted = await instance.wait(leaves)

    # Then
    assert admitted is None
    assert instance.admission.held == 0


async def test_wait__full__refused_until_a_place_is_free() -> None:
    # Given
    instance = Instance(limit=10, delay=0.05)
    instance.streams = 10

    # Then
    assert "as many subscribers" in str(instance.admission.refused())
    assert await instance.wait(stays) is False

    # When
    instance.streams = 9

    # Then
    assert instance.admission.refused() is None


async def test_wait__no_room_to_hold__refused_at_once() -> None:
    # Given: room for 100 streams, 5 held besides
    instance = Instance(limit=100, room=105, delay=60)
    instance.streams = 100
    held = [asyncio.create_task(instance.wait(stays)) for _ in range(5)]
    await asyncio.sleep(0)

    # When
    began = seconds()
    admitted = await instance.wait(stays)

    # Then
    assert admitted is False
    assert seconds() - began < 1
    instance.admission.review()
    assert await asyncio.gather(*held) == [False] * 5
