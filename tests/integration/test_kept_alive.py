"""Connections that clients keep for their next request, when the process that they lead
to leaves: the next request reaches one that stays, and none is lost."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.crowd import crowd
from tests.support.pooling import pooling
from tests.support.raw_http import PUBLISHER, Connection
from tests.support.service import Service, running_service
from tests.support.waiting import eventually

CONNECTIONS = 12
"""Enough to meet each of two workers: all but one time in two thousand."""

STREAMS = 300
"""Of which a process ends 100 a second."""

LEAVING = {
    "daphne": signal.SIGTERM,
    "serve": signal.SIGTERM,
    "workers": signal.SIGHUP,
}
"""What makes a process of each server leave; of two workers one after the other."""


@contextlib.contextmanager
def leaving_slowly(server: str, nats: EmbeddedNats, folder: Path) -> Iterator[Service]:
    """A service that is ready, whose drain takes as long as its streams make it."""
    with running_service(server, nats.url, folder, SSE_DRAIN_SECONDS="10") as service:
        service.await_ready()
        yield service


async def ends(client: socket.socket) -> bytes:
    """Everything that comes until the connection ends, which must be no reset."""
    loop = asyncio.get_running_loop()
    received = b""
    async with asyncio.timeout(20):
        while data := await loop.sock_recv(client, 65536):
            received += data
    return received


async def subscribed(service: Service, environment: str) -> socket.socket:
    """A plain socket on which a stream was asked for."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", service.port))
    path = f"/sse/environments/{environment}/stream"
    await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


async def test_leave__open_streams__connection_ends_with_the_last_chunk(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with leaving_slowly(server, shared_nats, tmp_path) as service:
        clients = [await subscribed(service, environment) for _ in range(STREAMS)]
        await asyncio.to_thread(
            eventually, lambda: service.metric("flagsmith_sse_subscribers") == STREAMS
        )

        # When
        service.process.send_signal(LEAVING[server])
        ending = [asyncio.create_task(ends(client)) for client in clients]
        await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)

        # Then: not with the process, which is still ending other streams
        assert not service.events("drain.finished")
        for received in await asyncio.gather(*ending):
            assert received.endswith(b"\r\n0\r\n\r\n")
        if server == "workers":
            await asyncio.to_thread(service.await_logged, "workers.replaced")
    for client in clients:
        client.close()


async def test_leave__kept_alive_connection__next_answer_is_its_last(
    single_server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: 100 streams take a second to end
    target = f"/sse/environments/{environment}/queue-change"
    with leaving_slowly(single_server, shared_nats, tmp_path) as service:
        async with crowd(service, environment, 100):
            with Connection(service.url) as publisher, Connection(service.url) as other:
                body = b'{"updated_at":1}'
                before = publisher.request("POST", target, PUBLISHER, body)
                assert before.status == 202
                assert "connection" not in before.headers
                assert other.request("GET", "/metricsz").status == 200

                # When
                service.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(service.await_logged, "drain.started")
                answers = [
                    publisher.request("POST", target, PUBLISHER, body),
                    other.request("GET", "/metricsz"),
                ]

                # Then: of our own endpoints and of Django's
                assert [answer.status for answer in answers] == [202, 200]
                assert [answer.headers["connection"] for answer in answers] == [
                    "close"
                ] * 2
                assert publisher.closed_by_server()
                assert other.closed_by_server()


async def test_leave__idle_connections__closed_without_a_reset(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given: each has had a request, and one, as browsers open them, none
    with leaving_slowly(server, shared_nats, tmp_path) as service:
        with contextlib.ExitStack() as stack:
            idle = [
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", service.port), 10)
                )
                for _ in range(CONNECTIONS)
            ]
            for connection in idle[1:]:
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")

            # When
            service.process.send_signal(LEAVING[server])

            # Then
            for connection in idle:
                assert await asyncio.to_thread(connection.recv, 1) == b""
        if server == "workers":
            await asyncio.to_thread(service.await_logged, "workers.replaced")


async def test_sighup__stream_asked_for_on_an_old_connection__served_until_it_leaves(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with leaving_slowly("workers", shared_nats, tmp_path) as service:
        with contextlib.ExitStack() as stack:
            connections = [
                stack.enter_context(Connection(service.url)) for _ in range(CONNECTIONS)
            ]
            for connection in connections:
                assert connection.request("GET", "/livez").status == 200

            # When
            service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(service.await_logged, "drain.started")
            path = f"/sse/environments/{environment}/stream"
            for connection in connections:
                connection.send("GET", path)
            answers = await asyncio.gather(
                *(asyncio.to_thread(c.receive) for c in connections)
            )
            await asyncio.to_thread(service.await_logged, "workers.replaced")

        # Then: those of the worker that was leaving say that their connection ends
        assert {answer.status for answer in answers} == {200}
        closing = [answer.headers.get("connection") for answer in answers]
        assert set(closing) == {None, "close"}
        assert all(b"retry: " in answer.body for answer in answers)


async def test_sighup__pooled_and_new_connections__nobody_is_turned_away(
    workers: Service, environment: str
) -> None:
    # Given
    async with pooling(
        workers.url, environment, subscribers=60, publishers=8
    ) as clients:
        # When
        workers.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(workers.await_logged, "workers.replaced")
        await clients.all_open()

    # Then
    assert clients.subscribed["200"] > 60
    assert set(clients.subscribed) == {"200"}, clients.subscribed
    assert set(clients.published) == {"202"}, clients.published


def test_leave__answer_under_way__says_that_it_is_the_last(
    single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given: NATS is away, so that a publish waits for it
    target = f"/sse/environments/{environment}/queue-change"
    with (
        running_service(single_server, "nats://127.0.0.1:1", tmp_path) as service,
        Connection(service.url) as publisher,
    ):
        service.expected_errors = {"update.lost"}
        eventually(
            lambda: requests.get(f"{service.url}/livez", timeout=10).status_code == 200,
            what="the start",
        )
        publisher.send("POST", target, PUBLISHER, b'{"updated_at":1}')
        # What was sent before these has been read.
        assert requests.get(f"{service.url}/livez", timeout=10).status_code == 200
        assert requests.get(f"{service.url}/livez", timeout=10).status_code == 200

        # When
        service.process.send_signal(signal.SIGTERM)

        # Then
        said = publisher.receive("POST").headers["connection"]
        # A 503 says so itself, and Daphne once more.
        assert set(said.split(", ")) == {"close"}
