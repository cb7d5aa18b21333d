"""A would-be stream that gets an error is held before it, because some SDKs come back
at once and for ever; everything else is answered at once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.raw_http import Connection, ask
from tests.support.service import Service, running_service

DELAY = 4.0
LEAST = DELAY / 2 - 0.1

KEY = 'flagsmith_sse_misdirected_streams_total{reason="key"}'
PATH = 'flagsmith_sse_misdirected_streams_total{reason="path"}'


@pytest.fixture(scope="module", params=["daphne", "serve"])
def slow(
    request: pytest.FixtureRequest,
    shared_nats: EmbeddedNats,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service that takes its time to refuse."""
    folder = tmp_path_factory.mktemp("slow")
    with running_service(
        request.param, shared_nats.url, folder, SSE_REJECT_DELAY_SECONDS=f"{DELAY}"
    ) as service:
        service.await_ready()
        yield service


@pytest.mark.parametrize(
    ("target", "counted"),
    [
        ("/sse/environments/no*key/stream", KEY),
        ("/sse/environments/a/b/stream/", KEY),
        ("/sse/environments//stream?lastEventId=1", KEY),
        ("/sse/environments/stream", PATH),
        ("/sse/stream", PATH),
        ("/api/v1/sse/environments/key/stream", PATH),
        ("/stream/", PATH),
    ],
)
def test_stream__where_there_is_none__404_after_the_delay_and_counted(
    slow: Service, target: str, counted: str
) -> None:
    # Given
    before = slow.metric(counted)
    with Connection(slow.url) as connection:
        # When
        began = time.monotonic()
        answer = connection.request("GET", target, {"Origin": "https://x.example"})

        # Then
        assert time.monotonic() - began >= LEAST
        assert answer.status == 404
        assert answer.headers["connection"] == "close"
        assert answer.headers["access-control-allow-origin"] == "*"
        # Twisted leaves that to the client.
        assert slow.server == "daphne" or connection.closed_by_server()
    assert slow.metric(counted) == before + 1


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("HEAD", "/sse/environments/no*key/stream", 404),
        ("HEAD", "/elsewhere/stream", 404),
        ("OPTIONS", "/elsewhere/stream", 404),
        ("POST", "/sse/environments/key/stream", 405),
        ("POST", "/sse/environments/no*key/stream", 404),
        ("POST", "/elsewhere/stream", 404),
        ("POST", "/sse/environments/no*key/queue-change", 404),
        ("GET", "/sse/environments/key/queue-change", 405),
        ("GET", "/elsewhere", 404),
        ("GET", "/sse/streams", 404),
    ],
)
def test_request__for_no_stream__answered_at_once(
    slow: Service, method: str, target: str, status: int
) -> None:
    # Given
    before = slow.metric(KEY) + slow.metric(PATH)

    # When
    began = time.monotonic()
    answer = ask(slow, method, target)

    # Then
    assert answer.status == status
    assert time.monotonic() - began < LEAST
    assert slow.metric(KEY) + slow.metric(PATH) == before


def test_streams__misdirected_again_and_again__logged_once_without_the_key(
    shared_nats: EmbeddedNats, single_server: str, tmp_path: Path
) -> None:
    # Given
    with running_service(
        single_server, shared_nats.url, tmp_path, SSE_REJECT_DELAY_SECONDS="0"
    ) as service:
        # When
        for _ in range(20):
            assert ask(service, "GET", "/api/sse/environments/ser.x/stream")

        # Then
        [event] = service.events("stream.misdirected")
        assert event["path"] == "/api/sse/environments/…/stream"
        assert event["reason"] == "path"
        assert "ser.x" not in str(event)
