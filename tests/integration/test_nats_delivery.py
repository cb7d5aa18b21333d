"""JetStream acknowledges what is published, and does not deliver it."""

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any

import nats as nats_py
import requests

from realtime.conf import RealtimeSettings
from realtime.fleet.overview import gather
from tests.support.nats import NatsServer
from tests.support.nats_filter import MessageFilter
from tests.support.proxy import running_proxy
from tests.support.service import running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually, eventually_async

API = "$JS.API.CONSUMER"
STREAM = "environments-stream"
NOTICED_SECONDS = 30


async def pause_consumers(nats: NatsServer) -> None:
    client = await nats_py.connect(nats.url)
    names = await client.request(f"{API}.NAMES.{STREAM}", timeout=5)
    for name in json.loads(names.data)["consumers"]:
        until = json.dumps({"pause_until": "2099-01-01T00:00:00Z"}).encode()
        paused = await client.request(f"{API}.PAUSE.{STREAM}.{name}", until, timeout=5)
        assert json.loads(paused.data)["paused"]
    await client.close()


def readiness(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{url}/readyz", timeout=5).json()
    return answer


async def test_consumer__paused__made_anew_and_delivered(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(single_server, nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            service.publish(environment, 1)
            assert await stream.next_event() == event("1")

            # When
            await pause_consumers(nats)
            assert service.publish(environment, 2).status_code == 202

            # Then
            assert await stream.next_event(seconds=NOTICED_SECONDS) == event("2")
        interruptions = service.events("bridge.interrupted")
        assert {"JetStream does not deliver" in i["reason"] for i in interruptions} == {
            True
        }


async def test_consumer__made_anew_delivers_nothing_either__not_ready_and_said_why(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: something between us that swallows deliveries, and passes the rest
    dropping = [False]

    def dropped(subject: bytes) -> bool:
        return dropping[0] and subject.startswith(b"flagsmith.environment.")

    with (
        running_proxy(nats.url, lambda: MessageFilter(dropped)) as proxy,
        running_service(single_server, proxy.url, tmp_path) as service,
    ):
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            # When
            dropping[0] = True
            assert service.publish(environment, 1).status_code == 202

            # Then: not only while it is being made anew
            service.await_ready(False, seconds=NOTICED_SECONDS)
            service.await_logged("bridge.interrupted", 3)
            assert not service.is_ready()
            assert "JetStream does not deliver" in readiness(service.url)["detail"]
            assert service.metric("flagsmith_sse_consumer_lag") >= 1
            settings = RealtimeSettings(nats_servers=(nats.url,))
            async with asyncio.timeout(NOTICED_SECONDS):
                # Between two sessions it answers nobody.
                while not (report := await gather(settings)).instances:
                    pass
            assert report.verdict.level == "down"
            assert "JetStream does not deliver" in report.verdict.reasons[0]

            # When
            dropping[0] = False

            # Then
            assert await stream.next_event(seconds=NOTICED_SECONDS) == event("1")
        service.await_ready()
        eventually(
            lambda: service.metric("flagsmith_sse_consumer_lag") == 0,
            what="the end of the lag",
        )


async def test_consumer__one_delivery_lost_among_others__delivered_after_all(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    numbers = count()

    def dropped(subject: bytes) -> bool:
        # The third of all
        return subject.startswith(b"flagsmith.environment.") and next(numbers) == 2

    with (
        running_proxy(nats.url, lambda: MessageFilter(dropped)) as proxy,
        running_service(single_server, proxy.url, tmp_path) as service,
    ):
        service.await_ready()
        async with Stream(service.stream_url(f"{environment}2")) as stream:
            # When
            client = await nats_py.connect(nats.url)
            for number in range(5):
                subject = f"flagsmith.environment.{environment}{number}"
                await client.jetstream().publish(subject, b'{"updated_at":7}')
            await client.close()

            # Then
            assert await stream.next_event(seconds=NOTICED_SECONDS) == event("7")
        [lost, *_] = service.events("bridge.interrupted")
        assert "lost on its way" in lost["reason"]


async def test_consumer__last_message_deleted_or_purged__no_session_ends(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: a stream whose last message is gone, and that nobody has read
    client = await nats_py.connect(nats.url)
    js = client.jetstream()
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
    for number in range(3):
        await js.publish(f"flagsmith.environment.{environment}{number}", b"x")
    await js.delete_msg(STREAM, 3)

    with running_service("serve", nats.url, tmp_path) as service:
        # When: it waits for nothing, and looks several times
        service.await_ready()
        looks = f"$JS.API.STREAM.MSG.GET.{STREAM}"
        seen = await client.subscribe(looks)
        for _ in range(4):
            await seen.next_msg(NOTICED_SECONDS)
        await js.purge_stream(STREAM)
        for _ in range(3):
            await seen.next_msg(NOTICED_SECONDS)

        # Then
        assert service.is_ready()
        assert not service.events("bridge.interrupted")
        assert service.metric("flagsmith_sse_consumer_lag") == 0
    await client.close()


async def test_consumer__all_it_was_to_deliver_purged__ready_all_the_same(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: what is delivered never arrives, so that it cannot catch up by that
    def dropped(subject: bytes) -> bool:
        return subject.startswith(b"flagsmith.environment.")

    client = await nats_py.connect(nats.url)
    js = client.jetstream()
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
    await js.publish(f"flagsmith.environment.{environment}", b"x")
    with (
        running_proxy(nats.url, lambda: MessageFilter(dropped)) as proxy,
        running_service("serve", proxy.url, tmp_path) as service,
    ):
        await eventually_async(
            lambda: service.events("nats.connected"), what="a session"
        )
        assert not service.is_ready()

        # When
        await js.purge_stream(STREAM)

        # Then
        service.await_ready()
    await client.close()
