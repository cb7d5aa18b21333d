"""When something that the stream holds counts as not delivered."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from realtime.exceptions import NatsUnavailable
from realtime.jetstream.consumer import PullConsumer
from realtime.jetstream.delivery_watch import Backlog, DeliveryWatch
from realtime.jetstream.stream import StreamState


class Holding(Client):
    """A connection to a stream that holds the messages `sequences`."""

    def __init__(self, sequences: Sequence[int]) -> None:
        super().__init__()
        self.sequences = sequences
        self.asked = 0

    async def request(
        self, subject: str, payload: bytes = b"", *_: Any, **__: Any
    ) -> Msg:
        self.asked += 1
        first = json.loads(payload)["seq"]
        found = [one for one in self.sequences if one >= first]
        answer = (
            {"message": {"seq": found[0], "time": "2026-01-01T00:00:00Z"}}
            if found
            else {"error": {"code": 404, "err_code": 10037, "description": "none"}}
        )
        return Msg(self, subject=subject, data=json.dumps(answer).encode())

    def state(self, last: int) -> StreamState:
        return StreamState(
            max_age=3600,
            now=0,
            first_sequence=1,
            last_sequence=last,
            messages=len(self.sequences),
            created="",
            changed=False,
            differences=(),
        )


class Reading(PullConsumer):
    """A consumer without a connection."""

    name = "a-consumer"
    progress = 0

    def __init__(self, position: int) -> None:
        self.position = self.progress = position
        self.idle = asyncio.Event()
        self.caught_up = False

    def catch_up(self) -> None:
        self.caught_up = True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.jetstream.delivery_watch.STALL_SECONDS", 0)


async def test_look__all_read__caught_up_without_a_question() -> None:
    # Given
    client, reader, backlog = Holding([7]), Reading(7), Backlog()

    # When
    await DeliveryWatch(client, reader, backlog).look(client.state(last=7))

    # Then
    assert reader.caught_up
    assert not client.asked


async def test_look__last_one_is_gone__caught_up_however_often() -> None:
    # Given
    client, reader, backlog = Holding([7]), Reading(7), Backlog()
    watch = DeliveryWatch(client, reader, backlog)

    # When
    for _ in range(3):
        await watch.look(client.state(last=9))

    # Then
    assert reader.caught_up
    assert backlog == Backlog()


async def test_look__something_waits_and_nothing_moves__raises_and_says_what() -> None:
    # Given
    client, reader, backlog = Holding([7, 9, 12]), Reading(8), Backlog()
    watch = DeliveryWatch(client, reader, backlog)
    await watch.look(client.state(last=12))

    # When
    with pytest.raises(NatsUnavailable, match=r"stored message 9, .* still at 8"):
        await watch.look(client.state(last=12))

    # Then
    assert not reader.caught_up
    assert backlog.stalled is not None
    assert backlog.waiting == 3  # at most
    assert backlog.since is not None


async def test_look__something_waits_and_others_are_told__no_stall() -> None:
    # Given: JetStream waits for acknowledgements, and they come
    client, reader, backlog = Holding([7, 9]), Reading(7), Backlog()
    watch = DeliveryWatch(client, reader, backlog)

    # When
    for _ in range(5):
        reader.progress += 1
        await watch.look(client.state(last=9))

    # Then
    assert backlog == Backlog()


async def test_look__something_waits_and_others_are_read__no_stall() -> None:
    # Given
    client, reader, backlog = Holding(range(1, 100)), Reading(1), Backlog()
    watch = DeliveryWatch(client, reader, backlog)

    # When
    for position in range(1, 90, 10):
        reader.position = reader.progress = position
        await watch.look(client.state(last=99))

    # Then
    assert backlog == Backlog()
    assert not reader.caught_up
