"""What is made of the answers of JetStream while the stream is in use."""

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.consumer import PullConsumer
from realtime.jetstream.delivery_watch import Backlog, DeliveryWatch
from realtime.jetstream.stream import StreamState
from realtime.jetstream.stream_config import NANOSECONDS, StreamSettings
from realtime.jetstream.stream_keeper import StreamKeeper

SETTINGS = RealtimeSettings(authentication_tokens=("t",))
GOOD: dict[str, Any] = {
    "config": StreamSettings.of(SETTINGS).expected(),
    "state": {"first_seq": 1, "last_seq": 1, "messages": 1},
    "created": "2026-01-01T00:00:00Z",
    "ts": "2026-01-01T00:00:00Z",
}
LEADERLESS = {
    "error": {
        "code": 503,
        "err_code": 10008,
        "description": "JetStream system temporarily unavailable",
    }
}
SEALED = {**GOOD, "config": {**GOOD["config"], "sealed": True}}
REFUSED = {"error": {"code": 500, "err_code": 10052, "description": "can not unseal"}}
CHOSEN_OTHERWISE = {**GOOD, "config": {**GOOD["config"], "num_replicas": 3}}


def led_by_one_of_three(*active: float) -> dict[str, Any]:
    """The answer of a leader that has heard of the others so many seconds ago."""
    replicas = [{"active": int(seconds * NANOSECONDS)} for seconds in active]
    return {**GOOD, "cluster": {"leader": "one", "replicas": replicas}}


class Scripted(Client):
    """A connection on which JetStream gives one answer after the other; afterwards it
    hangs."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        super().__init__()
        self._answers = list(answers)
        self.exhausted = asyncio.Event()

    async def request(self, subject: str, *_: Any, **__: Any) -> Msg:
        if not self._answers:
            self.exhausted.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Msg(self, subject=subject, data=json.dumps(answer).encode())


class AllRead(PullConsumer):
    """A consumer that has read everything."""

    name = "a-consumer"
    position = progress = 10**9

    def __init__(self) -> None:
        self.idle = asyncio.Event()

    def catch_up(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.jetstream.stream_keeper.FOLLOW_SECONDS", 0.001)
    monkeypatch.setattr("realtime.jetstream.stream_keeper.AGAIN_SECONDS", 0.001)


async def follow(*answers: dict[str, Any] | Exception) -> int:
    """Follow until the answers are used up; how many states were told."""
    client = Scripted(*answers)
    states: list[StreamState] = []
    watch = DeliveryWatch(client, AllRead(), Backlog())
    following = asyncio.create_task(
        StreamKeeper(SETTINGS).follow(client, watch, states.append)
    )
    exhausted = asyncio.create_task(client.exhausted.wait())
    async with asyncio.timeout(5):
        await asyncio.wait({following, exhausted}, return_when="FIRST_COMPLETED")
    for task in (following, exhausted):
        task.cancel()
    await asyncio.wait({following, exhausted})
    if not following.cancelled():
        following.result()
    return len(states)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TimeoutError(), "no answer in time"),
        (LEADERLESS, "temporarily unavailable"),
        (led_by_one_of_three(4, 5), "lost the majority"),
    ],
    ids=["no answer", "no meta leader", "leader cut off"],
)
async def test_follow__nothing_to_see_twice_in_a_row__raises(
    answer: dict[str, Any] | Exception, reason: str
) -> None:
    # Once is borne: a leader was just lost, say
    assert await follow(GOOD, answer, GOOD, answer, GOOD) == 3

    # Twice is not
    with pytest.raises(NatsUnavailable, match=reason):
        await follow(GOOD, answer, answer)


async def test_follow__one_of_three_replicas_is_gone__goes_on() -> None:
    assert await follow(*[led_by_one_of_three(0.5, 60)] * 3) == 3


async def test_follow__cannot_be_brought_up_to_date__used_and_said_once() -> None:
    # When
    with capture_logs() as logs:
        states = await follow(GOOD, *[SEALED, REFUSED] * 3, GOOD)

    # Then
    assert states == 2
    assert [event["event"] for event in logs] == ["stream.incompatible"]
    assert "sealed true instead of false" in logs[0]["reason"]


async def test_follow__operator_has_chosen_otherwise__followed_and_said_once() -> None:
    # When: nothing but the states is asked for, which are used up otherwise
    with capture_logs() as logs:
        states = await follow(GOOD, *[CHOSEN_OTHERWISE] * 3, GOOD)

    # Then
    assert states == 5
    assert [event["event"] for event in logs] == ["stream.differs"]
    assert logs[0]["settings"] == ["num_replicas is 3 instead of 1"]
