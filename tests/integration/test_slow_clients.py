"""Clients that do not read: bounded, newest update only, nobody else is delayed."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.service import TOKEN, Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

CROWD = 100
MOST_UPDATES = 20_000
"""More than are published until the service has noticed; without its small buffers the
kernel would take some 31,000."""


@pytest.fixture(params=["true", "false"])
def direct_writes(request: pytest.FixtureRequest) -> str:
    """Direct writes and the portable path, in turn."""
    value: str = request.param
    return value


@contextmanager
def silent_subscriber(
    service: Service, environment: str, version: str = "1.1"
) -> Iterator[socket.socket]:
    """A client with a small receive buffer that subscribes and reads nothing."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", service.port))
        path = f"/sse/environments/{environment}/stream"
        client.sendall(f"GET {path} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        yield client


def publish_until_lagging(service: Service, environment: str) -> int:
    """Publish 1, 2, 3, … until a subscriber lags; returns the last number."""
    url = service.queue_change_url(environment)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Token {TOKEN}"
        for number in range(1, MOST_UPDATES):
            assert session.post(url, json={"updated_at": number}).status_code == 202
            if number % 50 == 0 and service.introspect()["lagging"]:
                return number
    raise AssertionError(f"not lagging after {MOST_UPDATES} updates")


def received(client: socket.socket, until: bytes) -> bytes:
    """Everything that comes until `until` does."""
    client.settimeout(10)
    data = b""
    while until not in data:
        more = client.recv(65536)
        assert more, data[-200:]
        data += more
    return data


async def test_backed_up__reads_again__gets_the_newest_and_skips_the_rest(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str, direct_writes: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_KEEPALIVE_SECONDS="0.5",
        SSE_DIRECT_WRITES=direct_writes,
    ) as service:
        service.await_ready()
        with silent_subscriber(service, environment) as silent:
            async with Stream(service.stream_url(environment)) as attentive:
                last = publish_until_lagging(service, environment)
                while await attentive.next_event() != event(str(last)):
                    pass

                # When
                for number in range(last + 1, last + 101):
                    service.publish(environment, number)
                    assert await attentive.next_event() == event(str(number))
                newest = last + 100
                data = received(silent, b'{"updated_at":%d}\n\n' % newest)

                # Then
                seen = [
                    int(line[len(b'data: {"updated_at":') : -1])
                    for line in data.split(b"\n")
                    if line.startswith(b"data: ")
                ]
                assert seen == sorted(seen)
                assert seen[-1] == newest
                assert newest - 50 not in seen
                assert service.introspect()["lagging"] == 0

                # When
                service.publish(environment, newest + 1)

                # Then
                received(silent, b'{"updated_at":%d}\n\n' % (newest + 1))


def await_end(client: socket.socket) -> None:
    """Read until the stream ends, in whatever way."""
    client.settimeout(10)
    last = b""
    while not last.endswith(b"0\r\n\r\n"):
        try:
            more = client.recv(65536)
        except ConnectionResetError:
            return
        if not more:
            return
        last = last[-5:] + more


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_backed_up__for_too_long__dropped(
    shared_nats: EmbeddedNats,
    tmp_path: Path,
    environment: str,
    direct_writes: str,
    version: str,
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_KEEPALIVE_SECONDS="0.5",
        SSE_STALL_SECONDS="1",
        SSE_DIRECT_WRITES=direct_writes,
    ) as service:
        service.await_ready()
        with silent_subscriber(service, environment, version) as silent:
            # When
            publish_until_lagging(service, environment)

            # Then
            eventually(lambda: service.introspect()["subscribers"] == 0, what="drop")
            [dropped] = service.events("stream.dropped")
            assert dropped["lagging_for"] >= 1
            await_end(silent)


async def test_backed_up__more_than_all_may_hold_together__some_are_dropped(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: each takes some 30 kB at most
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_KEEPALIVE_SECONDS="0.5",
        SSE_BACKLOG_MEGABYTES="1",
    ) as service:
        service.await_ready()
        with ExitStack() as stack:
            for _ in range(CROWD):
                stack.enter_context(silent_subscriber(service, environment))
            await asyncio.to_thread(
                eventually, lambda: service.introspect()["subscribers"] == CROWD
            )

            # When
            number = 0
            while not service.events("backlog.given_up"):
                number += 1
                assert number < MOST_UPDATES
                await asyncio.to_thread(service.publish, environment, number)

            # Then
            given_up = service.events("backlog.given_up")[0]["connections"]
            assert 0 < given_up < CROWD
            await asyncio.to_thread(
                eventually,
                lambda: service.introspect()["subscribers"] <= CROWD - given_up,
            )
            assert service.introspect()["subscribers"] > 0


async def test_backed_up__service_stops__not_delayed_by_it(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_KEEPALIVE_SECONDS="0.5",
    ) as service:
        service.await_ready()
        with silent_subscriber(service, environment):
            publish_until_lagging(service, environment)

            # When
            began = time.monotonic()
            code = await asyncio.to_thread(service.stop)

            # Then
            assert code == 0
            assert time.monotonic() - began < 5
