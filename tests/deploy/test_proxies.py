"""The stream through the examples of a Caddy and an nginx, over HTTP/1.1 and HTTP/2;
and without them, because what is asked of both is the same."""

import asyncio
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.deploy.http_stream import http_client, open_stream
from tests.deploy.proxies import Proxy, caddy, nginx
from tests.support.nats import NatsServer
from tests.support.pooling import pooling
from tests.support.service import TOKEN, Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually_async

WAYS = ["bare-1.1", "caddy-1.1", "caddy-2", "nginx-1.1", "nginx-2"]
"""What is in front, and the version of HTTP."""

PROXIES = {"caddy": caddy, "nginx": nginx}
KEEPALIVE_SECONDS = 0.5
STREAMS = 100
MANY = 500
ORIGIN = "https://app.example.com"
SECRET = {"Authorization": f"Token {TOKEN}"}


@dataclass(frozen=True)
class Way:
    """How clients reach the service: `url`, and the version of HTTP they speak."""

    service: Service
    url: str
    authority: Path | None
    http2: bool

    def stream_url(self, environment: str) -> str:
        return f"{self.url}/sse/environments/{environment}/stream"


@contextmanager
def reached(
    way: str, nats_url: str, folder: Path, server: str = "serve"
) -> Iterator[Way]:
    """A service that is reached in this way, with keep-alives twice a second."""
    front, version = way.split("-")
    with ExitStack() as stack:
        service = stack.enter_context(
            running_service(
                *(server, nats_url, folder),
                SSE_KEEPALIVE_SECONDS=str(KEEPALIVE_SECONDS),
                SSE_ADMIN_ENABLED="true",
            )
        )
        # Its database has no tables.
        service.expected_errors.add("Service Unavailable: /admin/")
        service.await_ready()
        url, authority = service.url, None
        if front in PROXIES:
            upstream = f"127.0.0.1:{service.port}"
            proxy = stack.enter_context(PROXIES[front]([upstream], folder))
            url, authority = proxy.url, proxy.authority
        yield Way(service, url, authority, version == "2")


@pytest.fixture(scope="module", params=WAYS)
def way(
    request: pytest.FixtureRequest,
    shared_nats: EmbeddedNats,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Way]:
    folder = tmp_path_factory.mktemp("proxy")
    with reached(request.param, shared_nats.url, folder) as way:
        yield way


@pytest.fixture
async def client(way: Way) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(way.authority, way.http2) as client:
        yield client


async def test_stream__opened__documented_headers_and_first_bytes_at_once(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # When
    async with open_stream(client, way.stream_url(environment)) as stream:
        first = await stream.next_block()

    # Then
    response = stream.response
    assert response.http_version == ("HTTP/2" if way.http2 else "HTTP/1.1")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert "content-encoding" not in response.headers
    assert "content-length" not in response.headers
    assert first.startswith("retry: ")


async def test_stream__updates__the_latest_first_then_each_as_it_comes(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # Given
    way.service.publish(environment, 1)
    async with open_stream(client, way.stream_url(environment)) as stream:
        assert await stream.next_event() == event("1")
        for number in range(2, 5):
            # When
            way.service.publish(environment, number)
            # Then: in one piece, because the Swift SDK loses a line that is split
            assert await stream.next_event() == event(str(number))
            assert stream.pieces[-1] == event(str(number))


@pytest.mark.parametrize("query", ["", "?lastEventId=7"])
@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json, text/event-stream",
        "text/event-stream, application/json; charset=utf-8",
    ],
)
async def test_stream__query_string_and_accept_header__no_matter(
    way: Way, client: httpx.AsyncClient, environment: str, query: str, accept: str
) -> None:
    # Given
    url, headers = way.stream_url(environment) + query, {"Accept": accept}
    async with open_stream(client, url, headers) as stream:
        # When
        way.service.publish(environment, 7.5)
        # Then
        assert await stream.next_event() == event("7.5")


async def test_stream__head__headers_of_get_without_a_body(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # When
    answer = await client.head(way.stream_url(environment))
    # Then
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream"


async def test_stream__quiet__keep_alives_are_passed_on(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # Given
    async with open_stream(client, way.stream_url(environment)) as stream:
        assert (await stream.next_block()).startswith("retry: ")
        # When
        began = time.monotonic()
        blocks = [await stream.next_block() for _ in range(3)]
        # Then: not all of them together
        assert blocks == [": keep-alive\n\n"] * 3
        assert time.monotonic() - began > 1.5 * KEEPALIVE_SECONDS


async def test_stream__many_at_once__everyone_is_told(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # Given
    async with AsyncExitStack() as stack:
        opening = [
            stack.enter_async_context(open_stream(client, way.stream_url(environment)))
            for _ in range(STREAMS)
        ]
        streams = [await stream for stream in opening]
        # When
        way.service.publish(environment, 7.5)
        received = await asyncio.gather(*(stream.next_event() for stream in streams))
        # Then
        assert received == [event("7.5")] * STREAMS


async def test_publish__through_it__stored_and_refused_as_without(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # Given
    url = f"{way.url}/sse/environments/{environment}/queue-change"
    # When
    stored = await client.post(url, json={"updated_at": 1}, headers=SECRET)
    refused = await client.post(url, json={"updated_at": 1})
    # Then
    assert (stored.status_code, refused.status_code) == (202, 401)
    assert refused.headers["www-authenticate"] == "Token"


async def test_cors__other_origin__allowed_through_it(
    way: Way, client: httpx.AsyncClient, environment: str
) -> None:
    # Given
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    # When
    answer = await client.options(way.stream_url(environment), headers=headers)
    # Then
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_other_paths__proxy__kept_from_the_public(
    way: Way, client: httpx.AsyncClient
) -> None:
    # When
    answers = [await client.get(way.url + path) for path in ("/metricsz", "/admin/")]
    ready = await client.get(way.url + "/readyz")
    # Then
    if way.authority is not None:
        assert [answer.status_code for answer in answers] == [404, 404]
    assert ready.status_code == 200


def raw_answer(way: Way, target: str) -> bytes:
    """What comes for `target`, sent as it is."""
    parts = urlsplit(way.url)
    with ExitStack() as stack:
        connection: socket.socket = stack.enter_context(
            socket.create_connection((parts.hostname, parts.port), 10)
        )
        if way.authority is not None:
            context = ssl.create_default_context(cafile=way.authority)
            connection = stack.enter_context(
                context.wrap_socket(connection, server_hostname=parts.hostname)
            )
        connection.sendall(
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


@pytest.mark.parametrize(
    "target",
    [
        "/admin/../sse/environments/key/stream",
        "/admin/%2e%2e/sse/environments/key/queue-change",
        "/admin/..%2fsse/environments/key/queue-change",
        "//admin/login/../..//sse/",
        "/sse/../admin/login/",
        "/sse/environments/..%2f..%2fadmin/login/",
        "/livez/../admin/login/",
    ],
)
async def test_other_paths__spelt_with_dots__kept_from_the_public(
    way: Way, target: str
) -> None:
    # When: no client that normalises paths would ask so
    answer = await asyncio.to_thread(raw_answer, way, f"{target}?next=/admin/")
    # Then: of Django's there is nothing
    assert not answer.startswith(b"HTTP/1.1 3"), answer
    assert b"csrftoken" not in answer
    assert b"<form" not in answer


@pytest.mark.parametrize("name", ["bare-1.1", "caddy-1.1", "nginx-1.1"])
async def test_workers_replaced__pooled_and_new_connections__nobody_is_turned_away(
    name: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with reached(name, shared_nats.url, tmp_path, "workers") as way:
        async with pooling(
            *(way.url, environment),
            subscribers=40,
            publishers=6,
            authority=way.authority,
        ) as clients:
            # When
            way.service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(way.service.await_logged, "workers.replaced")
            await clients.all_open()

    # Then
    assert clients.subscribed["200"] > 40
    assert set(clients.subscribed) == {"200"}, clients.subscribed
    assert set(clients.published) == {"202"}, clients.published


@pytest.mark.parametrize("name", WAYS)
async def test_drain__streams_open__each_ends_properly(
    name: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with reached(name, shared_nats.url, tmp_path) as way:
        async with (
            http_client(way.authority, way.http2) as client,
            AsyncExitStack() as stack,
        ):
            streams = [
                await stack.enter_async_context(
                    open_stream(client, way.stream_url(environment))
                )
                for _ in range(20)
            ]
            # When
            stopping = asyncio.create_task(asyncio.to_thread(way.service.stop))
            for stream in streams:
                # Then: the end, and neither a reset nor a cut
                with pytest.raises(EOFError):
                    await stream.next_event()
                assert stream.ended
            assert await stopping == 0


@pytest.mark.parametrize("name", ["caddy-2", "nginx-2"])
async def test_nats_away__new_stream__turned_away_slowly(
    name: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with reached(name, nats.url, tmp_path) as way:
        nats.kill()
        await asyncio.to_thread(way.service.await_ready, False)
        async with http_client(way.authority, way.http2) as client:
            # When
            began = time.monotonic()
            answer = await client.get(way.stream_url(environment))

        # Then: an SDK that comes back at once does so at a pace
        assert answer.status_code == 503
        assert time.monotonic() - began >= 0.9


@asynccontextmanager
async def draining(service: Service, environment: str) -> AsyncIterator[None]:
    """`service` drains, for as long as it takes to end `MANY` streams: 100 a second."""
    async with AsyncExitStack() as stack:
        for _ in range(MANY):
            await stack.enter_async_context(Stream(service.stream_url(environment)))
        stopping = asyncio.create_task(asyncio.to_thread(service.stop))
        await asyncio.to_thread(service.await_ready, False)
        yield
        assert await asyncio.to_thread(requests.get, f"{service.url}/livez")
        assert await stopping == 0


async def statuses(client: httpx.AsyncClient, url: str) -> list[int]:
    """Those of some new streams, opened at once and closed again."""

    async def status() -> int:
        async with open_stream(client, url) as stream:
            return stream.response.status_code

    return await asyncio.gather(*(status() for _ in range(10)))


@contextmanager
def two_instances(
    front: str, nats_url: str, folder: Path, **variables: str
) -> Iterator[tuple[list[Service], Proxy]]:
    """Two services behind one proxy, all ready."""
    with ExitStack() as stack:
        services = [
            stack.enter_context(running_service("serve", nats_url, folder, **variables))
            for _ in range(2)
        ]
        for service in services:
            service.await_ready()
        upstreams = [f"127.0.0.1:{service.port}" for service in services]
        yield services, stack.enter_context(PROXIES[front](upstreams, folder))


@pytest.mark.parametrize("front", PROXIES)
async def test_two_instances__one_drains__new_streams_go_to_the_other(
    front: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with two_instances(
        *(front, shared_nats.url, tmp_path),
        SSE_DRAIN_SECONDS=str(MANY / 100),
        SSE_REJECT_DELAY_SECONDS="0.1",
    ) as (services, proxy):
        url = f"{proxy.url}/sse/environments/{environment}/stream"
        async with (
            http_client(proxy.authority, http2=True) as client,
            # When
            draining(services[0], environment),
        ):
            answers = await statuses(client, url)
            # Caddy hears of it when it asks the next time.
            while front == "caddy" and set(answers) != {200}:
                answers = await statuses(client, url)

            # Then
            assert answers == [200] * 10


@pytest.mark.parametrize("front", PROXIES)
async def test_two_instances__one_leaves__nobody_is_turned_away(
    front: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with two_instances(front, shared_nats.url, tmp_path) as (services, proxy):
        async with pooling(
            *(proxy.url, environment),
            subscribers=40,
            publishers=6,
            authority=proxy.authority,
        ) as clients:
            # When
            assert await asyncio.to_thread(services[0].stop) == 0
            await clients.all_open()
            counted = clients.published["202"]
            await eventually_async(lambda: clients.published["202"] > counted + 50)

    # Then
    assert set(clients.subscribed) == {"200"}, clients.subscribed
    assert set(clients.published) == {"202"}, clients.published


@pytest.mark.parametrize("front", PROXIES)
async def test_two_instances__one_killed__publishes_reach_the_other(
    front: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with two_instances(front, shared_nats.url, tmp_path) as (services, proxy):
        services[0].kill()
        url = f"{proxy.url}/sse/environments/{environment}/queue-change"
        async with http_client(proxy.authority, http2=False) as client:
            # When: some at once, while the proxy has not noticed
            answers = await asyncio.gather(
                *(
                    client.post(url, json={"updated_at": 1}, headers=SECRET)
                    for _ in range(20)
                )
            )

    # Then
    assert [answer.status_code for answer in answers] == [202] * 20


@pytest.mark.parametrize("front", PROXIES)
async def test_two_instances__nats_away__publishes_reach_them_all_the_same(
    front: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with two_instances(front, nats.url, tmp_path) as (services, proxy):
        nats.kill()
        for service in services:
            service.expected_errors.add("update.lost")
            await asyncio.to_thread(service.await_ready, False)
        url = f"{proxy.url}/sse/environments/{environment}/queue-change"
        async with http_client(proxy.authority, http2=False) as client:
            # Caddy has taken both away from the streams, and answers them itself.
            stream_url = f"{proxy.url}/sse/environments/{environment}/stream"
            assert await statuses(client, stream_url) == [503] * 10
            ready = await client.get(proxy.url + "/readyz")
            while front == "caddy" and ready.content:
                ready = await client.get(proxy.url + "/readyz")

            # When
            answers = [
                await client.post(url, json={"updated_at": 1}, headers=SECRET)
                for _ in range(3)
            ]

    # Then: the service's own answer, whichever it is while NATS is away
    assert ready.status_code == 503
    for answer in answers:
        assert answer.status_code == 202 or "detail" in answer.json()
        assert answer.status_code in (202, 503)


@pytest.mark.parametrize("front", PROXIES)
async def test_two_instances__nats_away__new_streams_turned_away_slowly(
    front: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with two_instances(front, nats.url, tmp_path) as (services, proxy):
        nats.kill()
        for service in services:
            await asyncio.to_thread(service.await_ready, False)
        url = f"{proxy.url}/sse/environments/{environment}/stream"
        async with http_client(proxy.authority, http2=True) as client:
            for _ in range(2):
                # When
                began = time.monotonic()
                answers = await statuses(client, url)

                # Then: the second time no faster than the first
                assert answers == [503] * 10
                assert time.monotonic() - began >= 0.9
