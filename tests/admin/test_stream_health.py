"""How JetStream holds the stream, where JetStream is slow or a cluster lacks a node."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from realtime import metrics
from realtime.conf import RealtimeSettings
from realtime.exceptions import RealtimeError
from realtime.fleet.overview import gather
from realtime.fleet.survey import CONNECT_SECONDS
from realtime.jetstream.connection import connected
from realtime.jetstream.stream import STREAM
from realtime.jetstream.stream_config import StreamSettings
from realtime.jetstream.stream_keeper import StreamKeeper
from realtime.server.embedded_nats import embedded_nats
from tests.faults.cluster import running_cluster
from tests.support.nats import NatsServer
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.waiting import eventually

ELECTED_SECONDS = 20
NOTICED_SECONDS = 40
"""A cluster takes 10 s to say that a replica is behind."""

Answer = Callable[[Msg], Awaitable[None]]


@asynccontextmanager
async def made_up_jetstream(
    folder: Path, **answers: Answer
) -> AsyncIterator[RealtimeSettings]:
    """Settings for a NATS without JetStream, where `answers` stand in for it: each says
    what it does of a question about the stream, such as `STREAM_INFO`."""
    with embedded_nats(folder, arguments=["--jetstream=false"]) as server:
        client = await nats.connect(server.url)
        for name, answer in answers.items():
            subject = f"$JS.API.{name.replace('_', '.')}.{STREAM}"
            await client.subscribe(subject, cb=answer)
        await client.flush()
        try:
            yield RealtimeSettings(nats_servers=(server.url,))
        finally:
            await client.close()


async def tell_info(message: Msg) -> None:
    state = {"messages": 1, "bytes": 100, "last_seq": 1}
    info = {"config": StreamSettings.of(RealtimeSettings()).expected(), "state": state}
    await message.respond(json.dumps(info).encode())


async def say_nothing(message: Msg) -> None:
    pass


async def tell_one_of_many(message: Msg) -> None:
    """One consumer of a thousand, after half a second."""
    await asyncio.sleep(0.5)
    consumer = {"name": "one", "num_pending": 0, "num_ack_pending": 0}
    page = {"consumers": [consumer], "total": 1000}
    await message.respond(json.dumps(page).encode())


@pytest.mark.parametrize("answer", [say_nothing, tell_one_of_many])
async def test_gather__consumers_not_listed_in_time__the_rest_is_told(
    tmp_path: Path, answer: Answer
) -> None:
    # Given
    async with made_up_jetstream(
        tmp_path, STREAM_INFO=tell_info, CONSUMER_LIST=answer
    ) as settings:
        with simulated_fleet(settings, made_up()):
            # When
            began = time.monotonic()
            report = await gather(settings)

    # Then
    assert time.monotonic() - began < 2
    assert report.stream is not None
    assert report.stream.messages == 1
    assert report.stream.consumers is None
    assert report.verdict.level == "degraded"
    [reason] = report.verdict.reasons
    assert reason.startswith("JetStream does not list its consumers")


async def test_gather__jetstream_does_not_answer__no_error_of_the_service(
    tmp_path: Path,
) -> None:
    # Given
    async with made_up_jetstream(tmp_path, STREAM_INFO=say_nothing) as settings:
        before = errors_counted()
        with simulated_fleet(settings, made_up()):
            # When
            report = await gather(settings)

    # Then
    assert report.verdict.level == "down"
    assert errors_counted() == before


def errors_counted() -> float:
    return sum(
        sample.value
        for counter in metrics.nats_errors.values()
        for family in counter.collect()
        for sample in family.samples
    )


def test_gather__one_node_of_a_cluster_away__degraded_and_named(
    tmp_path: Path,
) -> None:
    # Given: a consumer whose only replica is on a node that does not lead the stream
    with running_cluster(tmp_path) as cluster:
        nodes = cluster.nodes
        lost = eventually(
            lambda: asyncio.run(place_consumer(nodes)),
            seconds=ELECTED_SECONDS,
            what="a consumer",
        )
        assert lost is not None
        [survivor, _] = [node for node in nodes if node is not lost]
        settings = RealtimeSettings(nats_servers=(survivor.url,), stream_replicas=3)
        name = f"node-{nodes.index(lost)}"
        with simulated_fleet(settings, made_up()):
            # When
            lost.kill()
            report = asyncio.run(gather(settings))

            # Then
            assert report.verdict.level == "degraded"
            assert report.stream is not None
            assert report.stream.consumers is None
            eventually(
                lambda: any(
                    f"replica on {name} is" in reason
                    for reason in asyncio.run(gather(settings)).verdict.reasons
                ),
                seconds=NOTICED_SECONDS,
                what="the node to be named",
            )


async def place_consumer(nodes: list[NatsServer]) -> NatsServer | None:
    """The node that holds a new consumer, and does not lead the new stream; None if
    it came out otherwise, or the cluster is not that far."""
    urls = tuple(node.url for node in nodes)
    settings = RealtimeSettings(nats_servers=urls, stream_replicas=3)
    with suppress(RealtimeError, nats.errors.Error):
        async with connected(settings, CONNECT_SECONDS) as client:
            await StreamKeeper(settings).ensure(client)
            js = JetStreamContext(client)
            stream = await js.stream_info(STREAM)
            consumer = await js.add_consumer(STREAM, ConsumerConfig(num_replicas=1))
            leader = consumer.cluster and consumer.cluster.leader
            if leader and stream.cluster and leader != stream.cluster.leader:
                return nodes[int(leader.removeprefix("node-"))]
            await js.delete_consumer(STREAM, consumer.name)
    return None
