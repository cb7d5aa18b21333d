"""What HTTP/1.1 asks of a server: offers to go on in another protocol are ignored, a
`Host` is demanded, and a client that sends no more still gets its answer."""

import json
import socket

import pytest

from tests.support.malformed import LIVEZ, QUEUE_CHANGE, STREAM, UPDATE
from tests.support.raw_http import PUBLISHER, Connection, chunked, connected
from tests.support.service import Service

H2C = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Upgrade": "h2c",
    "HTTP2-Settings": "AAMAAABkAAQAAP__",
}
WEBSOCKET = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
TARGET = "/sse/environments/{}/queue-change"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


def until_closed(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


def statuses(received: bytes) -> list[bytes]:
    return [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]


def test_publish__h2c_is_offered__202_and_the_connection_goes_on(
    service: Service, environment: str
) -> None:
    # Given: what Java's HTTP client sends, unless it is told not to
    headers = {**PUBLISHER, **H2C}
    with Connection(service.url) as connection:
        for updated_at in (1, 2):
            # When
            body = json.dumps({"updated_at": updated_at}).encode()
            answer = connection.request(
                "POST", TARGET.format(environment), headers, body
            )

            # Then
            assert answer.status == 202, answer


def test_publish__h2c_is_offered_in_chunks__202(
    service: Service, environment: str
) -> None:
    # Given
    headers = {**PUBLISHER, **H2C, "Transfer-Encoding": "chunked"}
    with Connection(service.url) as connection:
        # When
        body = chunked(b'{"updated_at"', b":1}")
        answer = connection.request("POST", TARGET.format(environment), headers, body)

        # Then
        assert answer.status == 202, answer


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("target", ["/livez", "/readyz", "/metricsz", "/sse/nowhere"])
def test_get__upgrade_is_offered__answered_as_without(
    served: Service, target: str, offer: dict[str, str]
) -> None:
    # Given
    with Connection(served.url) as connection:
        without = connection.request("GET", target).status

        # When
        answer = connection.request("GET", target, offer)

        # Then
        assert answer.status == without
        assert connection.request("GET", "/livez").status == 200


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
def test_stream__upgrade_is_offered__stream(
    served: Service, environment: str, offer: dict[str, str]
) -> None:
    # Given
    head = b"".join(f"{name}: {value}\r\n".encode() for name, value in offer.items())
    with connected(served) as client:
        # When
        client.sendall(STREAM.replace(b"\r\n\r\n", b"\r\n" + head + b"\r\n"))

        # Then
        received = b""
        while b"retry: " not in received:
            received += client.recv(65536)
        assert b"content-type: text/event-stream" in received


def test_pipeline__upgrades_among_it__all_answered(served: Service) -> None:
    # Given
    body = b"Content-Length: 16\r\n" + UPGRADE + b"\r\n" + UPDATE
    last = LIVEZ[:-2] + b"Connection: close, upgrade\r\nUpgrade: a/1\r\n\r\n"
    with connected(served) as client:
        # When
        client.sendall(LIVEZ + QUEUE_CHANGE + body + QUEUE_CHANGE + body + last)

        # Then
        received = until_closed(client)
    assert statuses(received) == [b"200", b"202", b"202", b"200"]


def test_upgrade__comes_byte_by_byte__answered(served: Service) -> None:
    # Given
    request = QUEUE_CHANGE + UPGRADE + b"Connection: close\r\n"
    request += b"Content-Length: 16\r\n\r\n" + UPDATE
    with connected(served) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        # When
        for position in range(len(request)):
            client.sendall(request[position : position + 1])

        # Then
        assert statuses(until_closed(client)) == [b"202"]


@pytest.mark.parametrize("target", ["x:80", "/livez", "*"])
def test_connect__any_target__400(served: Service, target: str) -> None:
    # Given / When / Then
    with connected(served) as client:
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert statuses(until_closed(client)) == [b"400"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
        (b"GET http://x/livez HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /livez HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", b"200"),
    ],
    ids=["none", "two", "in the target", "HTTP/1.0", "empty"],
)
def test_host__missing_or_ambiguous__400(
    served: Service, head: bytes, status: bytes
) -> None:
    # Given / When / Then
    with connected(served) as client:
        client.sendall(head)
        assert statuses(until_closed(client)) == [status]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (LIVEZ, [b"200"]),
        (LIVEZ.replace(b"livez", b"readyz"), [b"200"]),
        (LIVEZ.replace(b"livez", b"metricsz"), [b"200"]),
        (QUEUE_CHANGE + b"Content-Length: 16\r\n\r\n" + UPDATE, [b"202"]),
        (LIVEZ + LIVEZ, [b"200", b"200"]),
        (LIVEZ + LIVEZ[:20], [b"200"]),
    ],
    ids=["liveness", "readiness", "metrics", "publish", "pipelined", "one and a half"],
)
def test_request__half_closed_after_it__answered_and_closed(
    served: Service, request_: bytes, expected: list[bytes]
) -> None:
    # Given
    with connected(served) as client:
        # When
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)

        # Then
        assert statuses(until_closed(client)) == expected


@pytest.mark.parametrize(
    "request_",
    [b"", LIVEZ[:20], QUEUE_CHANGE + b"Content-Length: 16\r\n\r\n{"],
    ids=["nothing", "head", "body"],
)
def test_request__half_closed_within_it__closed(
    served: Service, request_: bytes
) -> None:
    # Given
    with connected(served) as client:
        # When
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)

        # Then
        assert statuses(until_closed(client)) == []


def test_stream__half_closed__ends(served: Service) -> None:
    # Given
    with connected(served) as client:
        client.sendall(STREAM)
        while b"retry: " not in client.recv(65536):
            pass

        # When
        client.shutdown(socket.SHUT_WR)

        # Then
        until_closed(client)
