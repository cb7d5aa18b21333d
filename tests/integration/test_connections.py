"""Connections that only wait do not take the files of those that want something."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.malformed import LIVEZ
from tests.support.raw_http import ask
from tests.support.service import Service, running_service
from tests.support.streams import Stream
from tests.support.waiting import eventually

OPEN_FILES = 300
CLIENTS = 400

WAITING = {
    "kept alive": LIVEZ,
    "silent": b"",
    "half a request": LIVEZ[:20],
}


def connect(service: Service, clients: ExitStack, first: bytes) -> None:
    client = clients.enter_context(
        socket.create_connection(("127.0.0.1", service.port), 10)
    )
    client.sendall(first)
    if first.endswith(b"\r\n\r\n"):
        with suppress(ConnectionResetError):
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("kind", WAITING)
async def test_connections__more_than_files__those_that_wait_longest_make_room(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str, kind: str
) -> None:
    # Given
    with (
        running_service(
            "serve", shared_nats.url, tmp_path, open_files=f"-n {OPEN_FILES}"
        ) as service,
        ExitStack() as clients,
    ):
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            # When
            for _ in range(CLIENTS):
                connect(service, clients, WAITING[kind])

            # Then: publishers, probes, new streams and open ones are served
            for updated_at in range(20):
                assert service.publish(environment, updated_at).status_code == 202
                assert ask(service, "GET", "/livez").status == 200
            async with Stream(service.stream_url(environment)):
                await stream.next_event()
            closed = "flagsmith_sse_idle_connections_closed_total"
            assert service.metric(closed) >= CLIENTS - OPEN_FILES
            eventually(
                lambda: 0 < service.metric("flagsmith_sse_connections") < OPEN_FILES,
                what="connections are counted",
            )
