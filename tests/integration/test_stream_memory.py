"""An open stream costs what it is said to, whatever its request was like."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.raw_http import Connection
from tests.support.service import Service, running_service

STREAMS = 400
LONG = "a" * 14_000
"""Daphne refuses a line of 16 kB."""

MOST_KILOBYTES = {"serve": 14, "daphne": 30}
"""For each stream; twice as much where its request is kept."""

REQUESTS = {
    "query": ("?" + LONG, {}, b""),
    "header": ("", {"Cookie": LONG}, b""),
    "body": ("", {}, LONG.encode() * 4),
}


def resident_kilobytes(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


def open_streams(service: Service, kind: str, streams: ExitStack, count: int) -> None:
    query, headers, body = REQUESTS[kind]
    target = f"/sse/environments/memory/stream{query}"
    for _ in range(count):
        connection = streams.enter_context(Connection(service.url))
        connection.send("GET", target, headers, body)
        assert connection.received_until(b"retry: ")


@pytest.mark.parametrize("kind", REQUESTS)
def test_stream__large_request__kept_no_longer_than_its_answer_needs_it(
    shared_nats: EmbeddedNats, single_server: str, tmp_path: Path, kind: str
) -> None:
    # Given
    with (
        running_service(single_server, shared_nats.url, tmp_path) as service,
        ExitStack() as streams,
    ):
        service.await_ready()
        open_streams(service, kind, streams, 50)
        before = resident_kilobytes(service)

        # When
        open_streams(service, kind, streams, STREAMS)

        # Then
        each = (resident_kilobytes(service) - before) / STREAMS
        assert each < MOST_KILOBYTES[single_server]


SMALL_FIELDS = b"a: b\r\n" * 4_000
FURTHER = {
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", SMALL_FIELDS * 8),
    "half a request": (b"\r\n", b"GET /livez HTTP/1.1\r\n" + SMALL_FIELDS),
    "half a large one": (b"\r\n", b"GET /livez HTTP/1.1\r\nCookie: " + b"a" * 30_000),
    "requests": (
        b"\r\n",
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 16_000 + b"\r\n\r\n")
        * 8,
    ),
}
"""The rest of the request for a stream, and what is sent on when that is open."""


@pytest.mark.parametrize("kind", FURTHER)
def test_stream__client_sends_on__nothing_of_it_is_kept(
    shared_nats: EmbeddedNats, tmp_path: Path, kind: str
) -> None:
    # Given: Twisted has limits of its own
    rest, further = FURTHER[kind]
    request = b"GET /sse/environments/memory/stream HTTP/1.1\r\nHost: x\r\n" + rest
    with (
        running_service("serve", shared_nats.url, tmp_path) as service,
        ExitStack() as streams,
    ):
        service.await_ready()
        before = resident_kilobytes(service)

        # When
        for _ in range(100):
            client = socket.create_connection(("127.0.0.1", service.port))
            streams.enter_context(client)
            client.sendall(request)
            received = b""
            while b"retry: " not in received:
                received += client.recv(65536)
            with suppress(ConnectionError):
                client.sendall(further)
        assert requests.get(f"{service.url}/livez", timeout=10).status_code == 200

        # Then
        assert (resident_kilobytes(service) - before) / 100 < 100
