"""Each metric of publishing and of NATS is moved by the event it stands for, in one
worker and in two."""

import os
import signal
from pathlib import Path

import nats as nats_py
import pytest
from nats.js import api

from realtime.server.embedded_nats import embedded_nats
from tests.support.metrics import (
    Watch,
    answered,
    nats_error,
    rejected,
)
from tests.support.nats import NatsServer
from tests.support.raw_http import PUBLISHER, queue_change
from tests.support.service import Service, running_service
from tests.support.streams import Stream
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"{}", {}),
        (401, b"", {"Authorization": "Token wrong"}),
        (413, b" " * 5000, {}),
        (415, b"", {"Content-Type": "text/plain"}),
    ],
)
def test_publish__refused__counted_by_status(
    service: Service,
    environment: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    # Given
    watch = Watch(service)
    # When
    answer = queue_change(service, environment, body, {**PUBLISHER, **headers})
    # Then
    assert answer.status == status
    assert watch.moved(answered(status)) == 1


async def test_nats__down_and_up_again__every_operation_tells(
    serving: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, nats.url, tmp_path, SSE_REJECT_DELAY_SECONDS="0.1"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")

        # When
        nats.kill()
        service.await_ready(False)

        # Then
        watch.await_moved("flagsmith_sse_nats_connected", -workers)
        watch.await_moved("flagsmith_sse_ready", -workers)
        watch.await_grown(nats_error("connect"))
        assert service.publish(environment, 1).status_code == 503
        assert watch.moved(nats_error("publish")) == 1
        assert watch.moved(answered(503)) == 1
        async with Stream(service.stream_url(environment)) as stream:
            assert stream.status == 503
        assert watch.moved(rejected("nats")) == 1

        # When
        nats.start()
        service.await_ready()

        # Then
        watch.await_moved("flagsmith_sse_nats_connected", 0)
        watch.await_moved("flagsmith_sse_nats_reconnects_total", workers)


async def test_stream__incompatible__create_jetstream(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    async with await nats_py.connect(nats.url) as client:
        await client.jetstream().add_stream(
            name="environments-stream",
            subjects=["flagsmith.environment.>"],
            storage=api.StorageType.FILE,
            sealed=False,
            deny_delete=True,
        )
    # When
    with running_service(serving, nats.url, tmp_path) as service:
        # Then
        eventually(
            lambda: service.metric(nats_error("create_jetstream")) > 0,
            what="the refusal to be counted",
        )


async def test_stream__no_more_consumers_allowed__create_consumer_and_not_connected(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    async with await nats_py.connect(nats.url) as client:
        jetstream = client.jetstream()
        await jetstream.add_stream(
            name="environments-stream",
            subjects=["flagsmith.environment.>"],
            max_consumers=1,
        )
        await jetstream.add_consumer(
            "environments-stream", api.ConsumerConfig(durable_name="another")
        )
    # When
    with running_service(serving, nats.url, tmp_path) as service:
        # Then
        eventually(
            lambda: service.metric(nats_error("create_consumer")) > 4,
            what="the refusals to be counted",
        )
        found = service.metrics()
        assert found["flagsmith_sse_nats_connected"] == 0
        assert found["flagsmith_sse_nats_reconnects_total"] == 0


async def test_consumer__deleted__pull(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")
        consumers = [consumer["name"] for consumer in nats.stream()["consumer_detail"]]
        assert len(consumers) == workers
        # When
        async with await nats_py.connect(nats.url) as client:
            for name in consumers:
                await client.jetstream().delete_consumer("environments-stream", name)
        # Then
        watch.await_moved(nats_error("pull"), workers)


async def test_message__garbage__read(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")
        # When
        async with await nats_py.connect(nats.url) as client:
            await client.publish("flagsmith.environment.x", b"garbage")
        # Then
        watch.await_moved(nats_error("read"), workers)
        assert watch.moved("flagsmith_sse_updates_total") == 0


def test_acknowledgement__forbidden__ack_and_not_ready(
    serving: str, tmp_path: Path
) -> None:
    # Given
    config = tmp_path / "permissions.conf"
    config.write_text(
        "authorization: {users: [{user: sse, password: secret, "
        'permissions: {publish: {deny: ["$JS.ACK.>"]}}}]}\n'
    )
    with embedded_nats(tmp_path / "nats", arguments=["-c", str(config)]) as nats:
        url = nats.url.replace("://", "://sse:secret@")
        with running_service(serving, url, tmp_path) as service:
            # When
            service.await_logged("bridge.interrupted", 3)
            # Then
            assert service.metric(nats_error("ack")) >= 3
            assert not service.is_ready()
            assert {e["reason"] for e in service.events("bridge.interrupted")} == {
                "NATS refuses acknowledgements: allow $JS.ACK.>"
            }


async def test_session__fails_unexpectedly__bridge_restarts(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given: somebody who sees where the bridge reads, and sends what is no message
    async with await nats_py.connect(nats.url) as client:
        pulls = await client.subscribe("$JS.API.CONSUMER.MSG.NEXT.>")
        await client.flush()
        with running_service("serve", nats.url, tmp_path) as service:
            service.await_ready()
            pull = await pulls.next_msg(10)
            watch = Watch(service)
            # When
            await client.publish(pull.reply, reply="nonsense")
            await client.flush()
            # Then
            watch.await_moved("flagsmith_sse_bridge_restarts_total", 1)
            assert service.events("bridge.failed")
            service.await_ready()
            service.kill()  # its log has a traceback


async def test_consumer__behind__lag_until_it_has_caught_up(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service("workers", nats.url, tmp_path) as service:
        service.await_ready()
        slow = service.workers()[0]
        async with await nats_py.connect(nats.url) as client:
            # When: one worker stands still while much is published
            os.kill(slow, signal.SIGSTOP)
            for number in range(40_000):
                subject = f"flagsmith.environment.{environment}-{number}"
                await client.publish(subject, b'{"updated_at":1}')
            await client.flush()
            os.kill(slow, signal.SIGCONT)
            # Then
            eventually(
                lambda: service.metric("flagsmith_sse_consumer_lag") > 0, what="a lag"
            )
            eventually(
                lambda: service.metric("flagsmith_sse_consumer_lag") == 0,
                what="the end of the lag",
            )
