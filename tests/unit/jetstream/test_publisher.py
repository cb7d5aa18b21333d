"""What a publisher makes of the answers, and of their absence."""

import asyncio

import pytest

from realtime.exceptions import Overtaken, PublishFailed
from realtime.jetstream.client import FastClient
from realtime.jetstream.publisher import SWEEP_SECONDS, Publisher
from realtime.updates import Update

STORED = b'{"stream":"environments-stream","seq":7}'


class Recorder(FastClient):
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[str] = []

    def send(
        self, subject: str, payload: bytes, reply: str, headers: bytes = b""
    ) -> None:
        self.replies.append(reply)


async def answered(answer: bytes) -> None:
    """Publish, and be answered."""
    client = Recorder()
    publisher = Publisher(client)
    deadline = asyncio.get_running_loop().time() + 5
    publishing = asyncio.create_task(publisher.publish(Update("a", "1"), deadline))
    await asyncio.sleep(0)
    publisher._on_ack(client.replies[0].encode(), b"", answer, b"")
    await publishing


@pytest.mark.parametrize(
    "answer",
    [
        STORED,
        b'{"stream":"environments-stream", "seq":7}',
        b'{"stream":"environments-stream","domain":"hub","seq":7,"duplicate":true}',
    ],
)
async def test_publish__stream_has_stored_it__confirmed(answer: bytes) -> None:
    await answered(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "not understood"),
        (b"+OK", "not understood"),
        (b"{}", "not understood"),
        (b'{"stream":"another","seq":7}', "not understood"),
        (b'{"stream":"environments-stream"}', "not understood"),
        (
            b'{"error":{"code":503,"description":"no space"},'
            b'"stream":"environments-stream","seq":0}',
            "no space",
        ),
    ],
)
async def test_publish__anything_else_is_answered__failed(
    answer: bytes, reason: str
) -> None:
    with pytest.raises(PublishFailed, match=reason):
        await answered(answer)


@pytest.mark.parametrize("code", [10071, 10164])
async def test_publish__another_came_first__overtaken(code: int) -> None:
    # A cluster says the second of one that is still on its way to the replicas.
    with pytest.raises(Overtaken):
        await answered(
            b'{"error":{"code":400,"err_code":%d,"description":"wrong last sequence"},'
            b'"stream":"environments-stream","seq":0}' % code
        )


async def test_publish__deadline_before_that_of_an_earlier_one__given_up_in_time() -> (
    None
):
    # Given: a body that took its time, or a caller with less patience
    loop = asyncio.get_running_loop()
    publisher = Publisher(Recorder())
    patient = asyncio.create_task(publisher.publish(Update("a", "1"), loop.time() + 60))
    await asyncio.sleep(0)

    # When
    deadline = loop.time() + 0.1
    with pytest.raises(PublishFailed, match="in time"):
        async with asyncio.timeout(5):
            await publisher.publish(Update("b", "1"), deadline)

    # Then
    assert 0 <= loop.time() - deadline < SWEEP_SECONDS + 0.5
    assert not patient.done()
    patient.cancel()
    await asyncio.wait([patient])
