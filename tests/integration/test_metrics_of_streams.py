"""Each metric of streams and of what is written is moved by the event it stands for, in
one worker and in two."""

import asyncio
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats as nats_py
import pytest
from nats.aio.client import Client

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.metrics import (
    Watch,
    answered,
    broken,
    disconnected,
    of_client,
    rejected,
    written,
)
from tests.support.raw_http import ask
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event


@contextmanager
def reset_at_end(service: Service, environment: str) -> Iterator[socket.socket]:
    """A subscriber with a small receive buffer whose connection is reset when the block
    ends: no last word, no proper end."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.connect(("127.0.0.1", service.port))
        path = f"/sse/environments/{environment}/stream"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield client


def read_until(client: socket.socket, expected: bytes) -> None:
    client.settimeout(10)
    data = b""
    while expected not in data:
        more = client.recv(4096)
        assert more, data
        data += more


async def test_subscribers__come_and_go__counted(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)

        # When
        async with (
            Stream(service.stream_url(environment)),
            Stream(service.stream_url(environment)),
            Stream(service.stream_url(f"{environment}-2")),
        ):
            # Then
            assert watch.moved("flagsmith_sse_subscribers") == 3
            assert watch.moved("flagsmith_sse_subscribers_total") == 3
            assert watch.moved("flagsmith_sse_environments") >= 2
        await asyncio.to_thread(watch.await_moved, "flagsmith_sse_subscribers", 0)
        await asyncio.to_thread(watch.await_moved, "flagsmith_sse_environments", 0)
        assert watch.moved(disconnected("client")) == 3
        assert watch.moved("flagsmith_sse_subscribers_total") == 3


async def test_subscribers__of_several_kinds__counted_by_kind(
    service: Service, environment: str
) -> None:
    # Given
    watch = Watch(service)
    url = service.stream_url(environment)

    # When
    async with (
        Stream(url, headers={"User-Agent": "okhttp/4.12.0"}),
        Stream(url, headers={"user-agent": "App/1 CFNetwork/1410 Darwin/22"}),
        Stream(url, headers={"USER-AGENT": "App/2 CFNetwork/1410 Darwin/22"}),
        Stream(url),
    ):
        # Then
        assert watch.moved(of_client("android")) == 1
        assert watch.moved(of_client("ios")) == 2
        assert watch.moved(of_client("none")) == 1
        assert watch.moved(of_client("browser")) == 0
    for kind in ("android", "ios", "none"):
        await asyncio.to_thread(watch.await_moved, of_client(kind), 0)


async def test_stream__too_old__disconnects_aged(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_MAX_STREAM_AGE_SECONDS="0.2"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        # When
        async with Stream(service.stream_url(environment)) as stream:
            await stream.until_end()
        # Then
        assert watch.moved(disconnected("aged")) == 1


async def test_drain__streams_open__disconnects_drained_and_rejections_draining(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        SSE_DRAIN_SECONDS="60",
        SSE_REJECT_DELAY_SECONDS="0.1",
    ) as service:
        service.await_ready()
        watch = Watch(service)
        url = service.stream_url(environment)
        streams = [Stream(url) for _ in range(200)]
        for stream in streams:
            await stream.__aenter__()

        # When
        service.process.send_signal(signal.SIGTERM)
        watch.await_grown(disconnected("drained"))
        async with Stream(url) as late:
            # Then
            assert late.status == 503
        assert watch.moved(rejected("draining")) == 1
        assert watch.moved("flagsmith_sse_ready") == -1
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_instance__full__rejections_full(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        SSE_MAX_SUBSCRIBERS="1",
        SSE_REJECT_DELAY_SECONDS="0.1",
    ) as service:
        service.await_ready()
        watch = Watch(service)
        url = service.stream_url(environment)
        # When
        async with Stream(url), Stream(url) as second:
            # Then
            assert second.status == 503
        assert watch.moved(rejected("full")) == 1
        assert service.metric("flagsmith_sse_subscribers_limit") == 1


async def test_update__published__written_read_and_timed(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")
        url = service.stream_url(environment)

        # When
        async with Stream(url) as stream, Stream(url) as other:
            service.publish(environment, 1)
            assert await stream.next_event() == event("1")
            assert await other.next_event() == event("1")

            # Then
            assert watch.moved(written("data")) == 2
            # Every worker reads every update.
            watch.await_moved("flagsmith_sse_updates_total", workers)
            assert watch.moved(answered(202)) == 1
            assert watch.moved("flagsmith_sse_publish_duration_seconds_count") == 1
            delivery = "flagsmith_sse_delivery_duration_seconds"
            # Once for every worker with a subscriber.
            assert 1 <= watch.moved(f"{delivery}_count") <= workers
            assert 0 < watch.moved(f"{delivery}_sum") < 5

            # When
            async with Stream(url) as late:
                assert await late.next_event() == event("1")

        # Then
        assert watch.moved(written("data")) == 3


async def test_stream__quiet__keepalives_counted(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECONDS="0.2"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        # When
        async with Stream(service.stream_url(environment)) as stream:
            blocks = [await stream.next_block() for _ in range(3)]
        # Then
        assert blocks[1:] == [": keep-alive\n\n"] * 2
        assert watch.moved(written("keepalive")) >= 2


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health__asked__healthchecks_counted(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, path: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        watch = Watch(service)
        # When
        ask(service, "GET", path)
        # Then
        assert watch.moved(written("healthcheck")) == 1


def test_health__connection_breaks_before_the_answers_are_read__errors(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECONDS="0.5"
    ) as service:
        watch = Watch(service)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.connect(("127.0.0.1", service.port))
            # More answers than the buffers between here and there hold.
            for asked in range(10, 100_000, 10):
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
                if not answered_all(watch, asked):
                    break
        # When: the block ended with a reset
        # Then
        watch.await_moved(broken("healthcheck"), 1)


def answered_all(watch: Watch, asked: int) -> bool:
    """Whether so many health checks are answered within a second."""
    deadline = time.monotonic() + 1
    while watch.moved(written("healthcheck")) < asked:
        if time.monotonic() > deadline:
            return False
    return True


async def test_connection__reset_while_quiet__error_of_the_keepalive(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        # When
        with reset_at_end(service, environment) as client:
            read_until(client, b"retry:")
        # Then
        watch.await_moved(broken("keepalive"), 1)
        assert watch.moved(disconnected("error")) == 1


async def publish_until_lagging(watch: Watch, client: Client, environment: str) -> None:
    """Publish updates until the connection of one subscriber is backed up."""
    subject = f"flagsmith.environment.{environment}"
    for number in range(20_000):
        # Long ones, and each on its own: of those that come together one is told.
        await client.publish(subject, b'{"updated_at":1.%03000d}' % number)
        await client.flush()
        if number % 200 == 0 and watch.moved("flagsmith_sse_lagging_subscribers"):
            break
    watch.await_moved("flagsmith_sse_lagging_subscribers", 1)


async def test_client__reads_nothing_for_too_long__disconnects_stalled(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving,
        shared_nats.url,
        tmp_path,
        SSE_KEEPALIVE_SECONDS="0.5",
        SSE_STALL_SECONDS="1",
    ) as service:
        service.await_ready()
        watch = Watch(service)
        async with await nats_py.connect(shared_nats.url) as client:
            with reset_at_end(service, environment):
                # When
                await publish_until_lagging(watch, client, environment)
                # Then
                watch.await_moved(disconnected("stalled"), 1)
        assert watch.moved(broken("data")) == 1


async def test_connection__cut_while_backed_up__error_of_the_data(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECONDS="0.5"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        async with await nats_py.connect(shared_nats.url) as client:
            with reset_at_end(service, environment):
                # When
                await publish_until_lagging(watch, client, environment)
                # Then: not at once, because the stream keeps only the newest, too
                subject = f"flagsmith.environment.{environment}"
                async with asyncio.timeout(10):
                    while not watch.moved("flagsmith_sse_skipped_total"):
                        await client.publish(subject, b'{"updated_at":200000}')
                        await client.flush()
        watch.await_moved(broken("data"), 1)
        watch.await_moved("flagsmith_sse_lagging_subscribers", 0)
