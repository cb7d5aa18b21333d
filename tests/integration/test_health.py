"""Health endpoints and metrics of the running service, on both servers, and what
clients are told while NATS cannot be reached."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.raw_http import ask, names, queue_change
from tests.support.service import SERVERS, Service, running_service
from tests.support.streams import Stream

REJECT_SECONDS = 1.0
LATE_SECONDS = 1.0
"""How late something may be on a busy machine."""


@pytest.fixture(scope="module", params=SERVERS)
def cut_off_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that has never reached NATS."""
    folder, delay = tmp_path_factory.mktemp("cut-off"), str(REJECT_SECONDS)
    # Taken, so that nobody else gets it, but nothing listens there.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"nats://127.0.0.1:{taken.getsockname()[1]}"
        with running_service(
            request.param,
            url,
            folder,
            SSE_REJECT_DELAY_SECONDS=delay,
            SSE_ACCEPT_WITHOUT_NATS="false",
        ) as service:
            # What was published and nobody could store.
            service.expected_errors.add("update.lost")
            # It listens before it answers.
            assert ask(service, "GET", "/livez").status == 200
            yield service


LIVENESS = ["/livez", "/livez/", "/health/liveness/", "/health/liveness"]
READINESS = ["/readyz", "/readyz/", "/health/readiness/", "/health/readiness"]


@pytest.mark.parametrize("target", LIVENESS + READINESS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health__all_well__200_json(service: Service, method: str, target: str) -> None:
    # Given / When
    answer = ask(service, method, f"{target}?verbose=1", {"Accept": "text/html"})
    # Then
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == (b'{"status":"ok"}' if method == "GET" else b"")


@pytest.mark.parametrize("target", LIVENESS + READINESS)
def test_health__wrong_method__405_with_allow(service: Service, target: str) -> None:
    # Given / When
    answer = ask(service, "POST", target)
    # Then
    assert answer.status == 405
    assert names(answer.headers["allow"]) == {"get", "head", "options"}


def test_metrics__asked_for__classic_text_format(service: Service) -> None:
    # Given / When
    answer = ask(service, "GET", "/metricsz")
    # Then
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.body.decode().splitlines()
    assert "# TYPE flagsmith_sse_nats_errors_total counter" in lines
    assert any(
        line.startswith('flagsmith_sse_nats_errors_total{operation="publish"} ')
        for line in lines
    )


def test_health__nats_unreachable__alive_but_not_ready(
    cut_off_service: Service,
) -> None:
    # Given / When
    alive = [ask(cut_off_service, "GET", target) for target in LIVENESS]
    ready = [ask(cut_off_service, "GET", target) for target in READINESS]
    # Then
    assert {answer.status for answer in alive} == {200}
    assert {answer.status for answer in ready} == {503}
    for answer in ready:
        assert answer.json["status"] == "unavailable"
        assert answer.json["detail"] == "NATS is not connected."
    assert ask(cut_off_service, "GET", "/metricsz").status == 200


def test_queue_change__nats_unreachable_and_not_to_be_accepted__503_within_2_s(
    cut_off_service: Service, environment: str
) -> None:
    # Given
    start = time.monotonic()
    # When
    answer = queue_change(cut_off_service, environment, b'{"updated_at":1}')
    seconds = time.monotonic() - start
    # Then
    assert answer.status == 503
    assert seconds < 2
    assert int(answer.headers["retry-after"]) >= 1
    assert list(answer.json) == ["detail"]


def test_queue_change__nats_unreachable__bad_requests_refused_as_ever(
    cut_off_service: Service, environment: str
) -> None:
    # Given / When
    body = queue_change(cut_off_service, environment, b"nonsense")
    token = queue_change(cut_off_service, environment, b'{"updated_at":1}', {})
    key = queue_change(cut_off_service, "*", b'{"updated_at":1}')
    # Then
    assert [body.status, token.status, key.status] == [400, 401, 404]


async def test_stream__nats_unreachable__paced_503(
    cut_off_service: Service, environment: str
) -> None:
    # Given
    url = cut_off_service.stream_url(environment)

    async def rejected() -> float:
        start = time.monotonic()
        headers = {"Origin": "https://app.example.com"}
        async with Stream(url, headers=headers) as stream:
            held = time.monotonic() - start
            assert stream.status == 503
            assert stream.headers["retry-after"] == "1"
            assert stream.headers["content-type"] == "application/json"
            assert stream.headers["access-control-allow-origin"] == "*"
        return held

    # When
    held = await asyncio.gather(*(rejected() for _ in range(8)))
    # Then
    assert min(held) >= REJECT_SECONDS / 2
    assert max(held) < REJECT_SECONDS * 1.5 + LATE_SECONDS
    # Clients that were refused together do not come back together.
    assert max(held) - min(held) > 0.01


def test_stream__nats_unreachable__requests_for_no_stream_not_held(
    cut_off_service: Service, environment: str
) -> None:
    # Given
    target = f"/sse/environments/{environment}/stream"
    start = time.monotonic()
    # When
    statuses = [
        ask(cut_off_service, "OPTIONS", target).status,
        ask(cut_off_service, "POST", target).status,
    ]
    # Then
    assert statuses == [200, 405]
    assert time.monotonic() - start < REJECT_SECONDS / 2


def test_livez__header_meant_for_daphne__ignored(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(server, shared_nats.url, tmp_path) as service:
        service.await_ready()
        # When
        # Daphne believes any client about where the application is mounted.
        answer = ask(service, "GET", "/livez", {"Daphne-Root-Path": "/elsewhere"})
    # Then
    assert answer.status == 200


def test_livez__process_ends__whoever_was_answered_can_publish(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: what a proxy does that cannot send a body twice
    answered = 0

    def is_reached(service: Service) -> bool:
        try:
            return ask(service, "GET", "/livez").status == 200
        except OSError:
            return False

    with running_service("serve", shared_nats.url, tmp_path) as service:
        service.await_ready()

        # When
        while is_reached(service):
            # Then
            body = b'{"updated_at": 1.5}'
            assert queue_change(service, environment, body).status == 202
            answered += 1
            if answered == 3:
                service.process.terminate()
        assert answered >= 3
        assert service.process.wait(10) == 0
