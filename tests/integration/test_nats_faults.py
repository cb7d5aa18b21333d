"""NATS goes away and comes back; nothing is lost and nobody lends a hand."""

import asyncio
import signal
import time
from pathlib import Path

import nats as nats_py

from tests.support.nats import NatsServer
from tests.support.proxy import running_proxy
from tests.support.service import running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually


async def test_nats_killed__restarted_with_its_store__recovers_by_itself(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        server, nats.url, tmp_path, SSE_REJECT_DELAY_SECONDS="0.2"
    ) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            service.publish(environment, 1)
            assert await stream.next_event() == event("1")

            # When
            nats.kill()
            service.await_ready(False)

            # Then
            began = time.monotonic()
            refused = service.publish(environment, 2)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "1"
            assert "NATS" in refused.json()["detail"]
            assert time.monotonic() - began < 2
            async with Stream(service.stream_url(environment)) as rejected:
                assert rejected.status == 503
                assert rejected.headers["retry-after"] == "1"

            # When
            nats.start()
            service.await_ready()

            # Then: what was refused was kept, and the stream that stayed open goes on
            # and gets nothing twice
            assert await stream.next_event() == event("2")
            assert service.publish(environment, 3).status_code == 202
            assert await stream.next_event() == event("3")
            assert not stream.closed


async def test_nats_killed__held_subscription__served_when_nats_is_back(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        server, nats.url, tmp_path, SSE_REJECT_DELAY_SECONDS="60"
    ) as service:
        service.await_ready()
        service.publish(environment, 1)
        nats.kill()
        service.await_ready(False)

        # When
        async def subscribe() -> str:
            async with Stream(service.stream_url(environment)) as stream:
                assert stream.status == 200
                return await stream.next_event()

        held = asyncio.create_task(subscribe())
        await asyncio.sleep(0.2)
        assert not held.done()
        nats.start()

        # Then
        assert await held == event("1")


async def test_nats_killed__restarted_with_an_empty_store__stream_made_again(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            for number in range(1, 5):
                service.publish(environment, number)
                assert await stream.next_event() == event(str(number))

            # When
            nats.kill()
            service.await_ready(False)
            nats.start(empty=True)
            service.await_ready()
            async with Stream(service.stream_url(environment)) as late:
                service.publish(environment, 9)

                # Then: sequence 1 is not taken for one that was read before, and what
                # the store lost is not replayed
                assert await stream.next_event() == event("9")
                assert await late.next_event() == event("9")


async def test_connection_cut__another_instance_publishes__delivered_afterwards(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    cut_off, quiet = environment, f"{environment}-quiet"
    with (
        running_proxy(nats.url) as proxy,
        running_service(server, proxy.url, tmp_path) as service,
        running_service("serve", nats.url, tmp_path) as other,
    ):
        service.await_ready()
        other.await_ready()
        async with (
            Stream(service.stream_url(cut_off)) as stream,
            Stream(service.stream_url(quiet)) as unaffected,
        ):
            other.publish(quiet, 1)
            assert await unaffected.next_event() == event("1")
            other.publish(cut_off, 1)
            assert await stream.next_event() == event("1")

            # When
            proxy.cut()
            service.await_ready(False)
            assert other.publish(cut_off, 2).status_code == 202
            assert other.publish(cut_off, 3).status_code == 202
            proxy.restore()

            # Then: the newest, and only where there is one
            assert await stream.next_event() == event("3")
            other.publish(quiet, 2)
            assert await unaffected.next_event() == event("2")
        # The message it had stopped at was replaced, so all was read again.
        assert service.events("nats.connected")[-1]["resumed"] is False


async def test_connection_cut__last_message_still_there__resumed_by_sequence(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with (
        running_proxy(nats.url) as proxy,
        running_service("serve", proxy.url, tmp_path) as service,
        running_service("serve", nats.url, tmp_path) as other,
    ):
        service.await_ready()
        other.await_ready()
        missed = f"{environment}-missed"
        async with (
            Stream(service.stream_url(environment)) as stream,
            Stream(service.stream_url(missed)) as missing,
        ):
            other.publish(environment, 1)
            assert await stream.next_event() == event("1")

            # When
            proxy.cut()
            service.await_ready(False)
            other.publish(missed, 2)
            proxy.restore()

            # Then
            assert await missing.next_event() == event("2")
        assert service.events("nats.connected")[-1]["resumed"] is True
        [ours] = [
            consumer["config"]
            for consumer in nats.stream()["consumer_detail"]
            if consumer["config"]["deliver_policy"] == "by_start_sequence"
        ]
        assert ours["opt_start_seq"] == 2


async def test_nats_stopped__half_open_connection__noticed_and_recovered(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            # When
            nats.signal(signal.SIGSTOP)
            began = time.monotonic()
            refused = service.publish(environment, 1)

            # Then
            assert refused.status_code == 503
            assert time.monotonic() - began < 2
            service.await_ready(False, seconds=10)

            # When
            nats.signal(signal.SIGCONT)
            service.await_ready(seconds=15)

            # Then
            assert service.publish(environment, 2).status_code == 202
            while await stream.next_event() != event("2"):
                pass  # the refused one may have been stored all the same


async def test_consumer_deleted__by_hand__made_again(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            client = await nats_py.connect(nats.url)
            consumers = nats.stream()["consumer_detail"]

            # When
            for consumer in consumers:
                await client.jetstream().delete_consumer(
                    "environments-stream", consumer["name"]
                )
            await client.close()
            eventually(
                lambda: len(service.events("bridge.interrupted")) == len(consumers),
                what="the interruptions",
            )
            service.await_ready()

            # Then
            assert service.publish(environment, 2).status_code == 202
            assert await stream.next_event() == event("2")


def test_publish__nats_down__counted(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    errors = 'flagsmith_sse_nats_errors_total{operation="publish"}'
    with running_service(single_server, nats.url, tmp_path) as service:
        service.expected_errors.add("update.lost")
        service.await_ready()
        nats.kill()
        service.await_ready(False)
        assert service.metric(errors) == 0

        # When
        assert service.publish(environment, 1).status_code == 503

        # Then
        assert service.metric(errors) == 1
