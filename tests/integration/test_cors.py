"""CORS of the running service, on both servers: every origin on every endpoint, errors
and preflight requests included."""

import pytest

from tests.support.raw_http import PUBLISHER, Answer, ask, names
from tests.support.service import Service
from tests.support.streams import Stream

ORIGIN = "https://app.example.com"

STREAM = "/sse/environments/{environment}/stream"
QUEUE_CHANGE = "/sse/environments/{environment}/queue-change"
ENDPOINTS = [
    STREAM,
    QUEUE_CHANGE,
    "/livez",
    "/readyz",
    "/health/liveness/",
    "/health/readiness/",
    "/metricsz",
]

ANSWERS: dict[str, tuple[str, str, dict[str, str], bytes, int]] = {
    # what it is: method, target, headers, body, status
    "publish": ("POST", QUEUE_CHANGE, PUBLISHER, b'{"updated_at":1}', 202),
    "bad body": ("POST", QUEUE_CHANGE, PUBLISHER, b"", 400),
    "no token": ("POST", QUEUE_CHANGE, {}, b"{}", 401),
    "no JSON": (
        "POST",
        QUEUE_CHANGE,
        {**PUBLISHER, "Content-Type": "text/plain"},
        b"1",
        415,
    ),
    "too large": ("POST", QUEUE_CHANGE, PUBLISHER, b" " * 5000, 413),
    "publish, wrong method": ("GET", QUEUE_CHANGE, {}, b"", 405),
    "stream, head": ("HEAD", STREAM, {}, b"", 200),
    "stream, wrong method": ("POST", STREAM, {}, b"", 405),
    "stream, options": ("OPTIONS", STREAM, {}, b"", 200),
    "stream, bad key": ("GET", "/sse/environments/*/stream", {}, b"", 404),
    "stream, line end": ("GET", "/sse/environments/a%0Ab/stream", {}, b"", 404),
    "no such endpoint": ("GET", "/sse/environments", {}, b"", 404),
    "nothing there": ("GET", "/nothing", {}, b"", 404),
    "livez": ("GET", "/livez", {}, b"", 200),
    "livez, wrong method": ("POST", "/livez", {}, b"", 405),
    "readyz": ("GET", "/readyz", {}, b"", 200),
    "liveness": ("GET", "/health/liveness/", {}, b"", 200),
    "readiness": ("GET", "/health/readiness/", {}, b"", 200),
    "metricsz": ("GET", "/metricsz", {}, b"", 200),
}


def allows_every_origin(headers: dict[str, str]) -> None:
    """Assert that a browser hands the response to a page of any site."""
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers
    assert "origin" in names(headers["vary"])


def preflight(service: Service, target: str, method: str, headers: str) -> Answer:
    """The answer to what a browser asks before the real request."""
    return ask(
        service,
        "OPTIONS",
        target,
        {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


@pytest.mark.parametrize("case", ANSWERS)
def test_cors__any_answer__allows_every_origin(
    service: Service, environment: str, case: str
) -> None:
    # Given
    method, target, headers, body, status = ANSWERS[case]
    target = target.format(environment=environment)
    # When
    answer = ask(service, method, target, {**headers, "Origin": ORIGIN}, body)
    # Then
    assert answer.status == status
    allows_every_origin(answer.headers)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "http://localhost:3000",
        "capacitor://localhost",
        "null",
        "file://",
        "nonsense \xe9",
    ],
)
async def test_cors__stream__allows_every_origin(
    service: Service, environment: str, origin: str
) -> None:
    # Given
    headers = {"Origin": origin}
    # When
    async with Stream(service.stream_url(environment), headers=headers) as stream:
        block = await stream.next_block()
    # Then
    assert stream.status == 200
    assert block.startswith("retry: ")
    allows_every_origin(stream.headers)


@pytest.mark.parametrize("target", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cors__preflight__allowed(
    service: Service, environment: str, target: str, method: str
) -> None:
    # Given
    wanted = "authorization, cache-control, content-type, last-event-id"
    # When
    answer = preflight(service, target.format(environment=environment), method, wanted)
    # Then
    assert (answer.status, answer.body) == (200, b"")
    allows_every_origin(answer.headers)
    assert method.lower() in names(answer.headers["access-control-allow-methods"])
    allowed = names(answer.headers["access-control-allow-headers"])
    assert names(wanted) <= allowed


@pytest.mark.parametrize("target", ENDPOINTS)
def test_cors__no_origin__varies_all_the_same(
    service: Service, environment: str, target: str
) -> None:
    # Given
    method = "HEAD" if target == STREAM else "GET"
    # When
    answer = ask(service, method, target.format(environment=environment))
    # Then
    assert "origin" in names(answer.headers["vary"])
    assert "access-control-allow-origin" not in answer.headers
