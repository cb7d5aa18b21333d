"""An open stream costs what it is said to, whatever its request was like."""

from contextlib import ExitStack
from pathlib import Path

import pytest

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
