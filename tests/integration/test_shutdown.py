"""A clean stop, on both servers: the policy of `RealtimeService`, pinned."""

import asyncio
import signal
import time
from pathlib import Path

import pytest
import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.service import STOP_SECONDS, running_service
from tests.support.streams import Stream, event


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop__open_streams__each_ends_with_a_final_chunk(
    server: str,
    shared_nats: EmbeddedNats,
    tmp_path: Path,
    environment: str,
    number: signal.Signals,
) -> None:
    # Given
    with running_service(server, shared_nats.url, tmp_path) as service:
        service.await_ready()
        streams = [Stream(service.stream_url(environment)) for _ in range(50)]
        for stream in streams:
            await stream.__aenter__()
            await stream.next_block()

        # When
        stopping = asyncio.create_task(asyncio.to_thread(service.stop, number))
        await asyncio.gather(*(stream.until_end() for stream in streams))
        code = await stopping

        # Then
        assert code == 0
        assert all(stream.ended for stream in streams)
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_stop__while_draining__not_ready_and_new_streams_turned_away(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: 300 streams take 3 s to end
    with running_service(
        server,
        shared_nats.url,
        tmp_path,
        SSE_DRAIN_SECONDS="3",
        SSE_REJECT_DELAY_SECONDS="0.1",
    ) as service:
        service.await_ready()
        streams = [Stream(service.stream_url(environment)) for _ in range(300)]
        for stream in streams:
            await stream.__aenter__()

        # When
        stopping = asyncio.create_task(asyncio.to_thread(service.stop))
        await asyncio.to_thread(service.await_ready, False)
        ready = await asyncio.to_thread(requests.get, f"{service.url}/readyz")
        live = await asyncio.to_thread(requests.get, f"{service.url}/livez")
        async with Stream(service.stream_url(environment)) as refused:
            pass
        published = await asyncio.to_thread(service.publish, environment, 5)
        last = next(s for s in reversed(streams) if not s.ended)
        received = await asyncio.gather(
            *(s.next_event() for s in streams), return_exceptions=True
        )
        await asyncio.gather(*(stream.until_end() for stream in streams))

        # Then
        assert "shutting down" in ready.json()["detail"]
        assert (ready.status_code, live.status_code) == (503, 200)
        assert refused.status == 503
        assert "retry-after" in refused.headers
        assert published.status_code == 202
        assert event("5") in received
        assert last.ended
        assert all(stream.ended for stream in streams)
        assert await stopping == 0
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_stop__held_subscription__gets_its_503_before_the_end(
    server: str, tmp_path: Path, environment: str
) -> None:
    # Given: no NATS, so the request is held
    with running_service(
        server, "nats://127.0.0.1:1", tmp_path, SSE_REJECT_DELAY_SECONDS="60"
    ) as service:
        await asyncio.to_thread(service.await_ready, False)

        async def subscribe() -> int:
            async with Stream(service.stream_url(environment)) as stream:
                return stream.status

        held = asyncio.create_task(subscribe())
        done, _ = await asyncio.wait([held], timeout=0.5)
        assert not done

        # When
        code = await asyncio.to_thread(service.stop)

        # Then
        assert await held == 503
        assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop__asked_twice__sigterm_goes_on_and_sigint_stops_at_once(
    shared_nats: EmbeddedNats,
    tmp_path: Path,
    environment: str,
    number: signal.Signals,
) -> None:
    # Given: 300 streams take 3 s to end
    with running_service(
        "serve", shared_nats.url, tmp_path, SSE_DRAIN_SECONDS="3"
    ) as service:
        service.await_ready()
        streams = [Stream(service.stream_url(environment)) for _ in range(300)]
        for stream in streams:
            await stream.__aenter__()

        # When
        service.process.send_signal(number)
        await asyncio.to_thread(service.await_ready, False)
        began = time.monotonic()
        code = await asyncio.to_thread(service.stop, number)
        took = time.monotonic() - began
        for stream in streams:
            await stream.__aexit__(None, None, None)

    # Then
    assert code == 0
    assert (took < 1.5) is (number == signal.SIGINT)


async def test_background_work_dies__alone__streams_end_properly_and_so_does_it(
    single_server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        single_server,
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
    ) as service:
        service.await_ready()
        service.killed = True
        async with Stream(service.stream_url(environment)) as stream:
            await stream.next_block()

            # When
            await asyncio.to_thread(requests.get, f"{service.url}/cancel/keep-alive")
            await stream.until_end()
            code = await asyncio.to_thread(service.process.wait, STOP_SECONDS)

        # Then
        assert stream.ended
        assert code == 1
        assert [e["task"] for e in service.events("task.died")] == ["keep-alive"]
        assert len(service.events("drain.finished")) == 1


async def test_background_work_dies__of_one_of_two_workers__worker_is_replaced(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(
        "workers",
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
    ) as service:
        service.await_ready()
        service.expected_errors = {"task.died", "worker.died"}

        # When: what the server itself keeps running counts, too
        await asyncio.to_thread(requests.get, f"{service.url}/cancel/connections")
        await asyncio.to_thread(service.await_logged, "nats.connected", 3)

        # Then
        [died] = service.events("worker.died")
        assert died["reason"] == "exit code 1"
        await asyncio.to_thread(service.await_ready)


async def test_stop__client_that_reads_nothing__does_not_delay_it(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, shared_nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)):
            # When
            began = time.monotonic()
            code = await asyncio.to_thread(service.stop)

    # Then
    assert code == 0
    assert time.monotonic() - began < 8
