"""Requests that are too large, too slow, malformed or too many: refused, without a word
in the middle of a stream, and with nobody else any slower. Daphne's own server has no
such limits: docs/reliability.md."""

import socket
import time
from contextlib import suppress

import pytest

from realtime.server.connections import REQUEST_SECONDS
from realtime.server.request_limits import (
    FIELDS,
    HEAD_BYTES,
    PIPELINED,
    REQUEST_BYTES,
)
from realtime.views import ANSWER_SECONDS
from tests.support.malformed import LIVEZ, MALFORMED, QUEUE_CHANGE, STREAM
from tests.support.raw_http import chunked, connected
from tests.support.service import Service
from tests.support.streams import Stream, event

LATE_SECONDS = 5.0
"""How late something may be on a busy machine."""


def until_closed(client: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    received = b""
    with suppress(ConnectionResetError):  # closed with something unread
        while data := client.recv(65536):
            received += data
    return received


def answer(service: Service, request: bytes) -> bytes:
    """What is answered until the connection is closed, which must be at once."""
    with connected(service) as client:
        began = time.monotonic()
        with suppress(ConnectionError):  # refused before its end
            client.sendall(request)
        received = until_closed(client)
        assert time.monotonic() - began < LATE_SECONDS
        return received


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED.keys())
def test_request__malformed__400_and_closed(served: Service, request_: bytes) -> None:
    assert answer(served, request_).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\nA: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA: " + b"a" * 1_000_000,
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"A: b\r\n" * HEAD_BYTES + b"\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * FIELDS + b"\r\n",
    ],
    ids=["header", "header without end", "target", "many headers", "one too many"],
)
def test_head__too_large__431_and_closed(served: Service, head: bytes) -> None:
    assert answer(served, head).startswith(b"HTTP/1.1 431 ")


def test_head__almost_too_large__answered(served: Service) -> None:
    padding = b"a" * (HEAD_BYTES - 200)
    close = b"Connection: close\r\nHost: x\r\n\r\n"
    request = b"GET /livez HTTP/1.1\r\nA: " + padding + b"\r\n" + close
    assert answer(served, request).startswith(b"HTTP/1.1 200 ")


def test_body__too_large_for_any_path__413_and_closed(served: Service) -> None:
    head = b"POST /metricsz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = chunked(*[bytes(65536)] * (REQUEST_BYTES // 65536 + 1), end=False)
    assert answer(served, head + body).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("begun", "answered"),
    [
        (b"", b""),
        (b"GET /livez HT", b"408"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"408"),
        (
            b"POST /metricsz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
            b"408",
        ),
        (b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"405"),
    ],
    ids=["nothing", "request line", "head", "body", "body of an answered request"],
)
def test_request__not_finished_in_time__closed(
    served: Service, begun: bytes, answered: bytes
) -> None:
    # Given
    with connected(served) as client:
        began = time.monotonic()

        # When
        client.sendall(begun)
        received = until_closed(client)

        # Then
        assert time.monotonic() - began < REQUEST_SECONDS + LATE_SECONDS
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [answered] * bool(answered)


@pytest.mark.parametrize(
    ("begun", "answered"),
    [(b"GET /live", b"HTTP/1.1 408 "), (b"\r\n", b"")],
    ids=["request line", "line end"],
)
def test_second_request__not_finished_in_time__closed(
    served: Service, begun: bytes, answered: bytes
) -> None:
    # Given
    with connected(served) as client:
        client.sendall(LIVEZ)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()

        # When
        client.sendall(begun)
        received = until_closed(client)

        # Then
        assert time.monotonic() - began < REQUEST_SECONDS + LATE_SECONDS
    assert received[:13] == answered


def test_request__trickles__closed_in_time(served: Service) -> None:
    # Given
    with connected(served) as client:
        client.settimeout(0.5)
        began = time.monotonic()
        received = b""

        # When: a byte now and then
        client.sendall(b"GET /livez HTTP/1.1\r\nA: ")
        while (
            not received and time.monotonic() - began < REQUEST_SECONDS + LATE_SECONDS
        ):
            client.sendall(b"a")
            with suppress(TimeoutError):
                received = client.recv(1000)

        # Then
        assert received.startswith(b"HTTP/1.1 408 ")


def test_queue_change__body_trickles__408_while_the_task_processor_waits(
    served: Service,
) -> None:
    # Given
    with connected(served) as client:
        client.settimeout(0.1)
        began = time.monotonic()
        received = b""

        # When: a byte now and then
        client.sendall(QUEUE_CHANGE + b"Content-Length: 4096\r\n\r\n")
        while not received and time.monotonic() - began < REQUEST_SECONDS:
            client.sendall(b" ")
            with suppress(TimeoutError):
                received = client.recv(1000)

        # Then
        waited = time.monotonic() - began
        assert ANSWER_SECONDS - 0.1 < waited < ANSWER_SECONDS + LATE_SECONDS
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"The body did not arrive within 1.7 s." in received
        client.settimeout(30)
        assert until_closed(client) == b""


def test_pipeline__too_many__closed(served: Service) -> None:
    # When
    received = answer(served, LIVEZ * 10_000)

    # Then
    assert received.count(b"HTTP/1.1 200 ") <= PIPELINED
    assert received.endswith(b"Bad Request")


def test_pipeline__a_few__answered_in_order(served: Service) -> None:
    # When
    received = answer(
        served,
        LIVEZ
        + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )

    # Then
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    "more", [b"\0garbage\r\n\r\n", LIVEZ * 100], ids=["garbage", "requests"]
)
def test_stream__client_goes_on_sending__closed_without_a_word(
    served: Service, more: bytes
) -> None:
    # Given
    with connected(served) as client:
        client.sendall(STREAM)
        while b"retry: " not in (received := client.recv(65536)):
            assert received

        # When
        client.sendall(more)

        # Then
        assert until_closed(client) == b""


async def test_stream__body_never_ends__not_touched(served: Service) -> None:
    # Given
    headers = {"Content-Length": "1"}
    url = served.stream_url("untouched")
    async with Stream(url, headers=headers) as stream:
        # When
        for _ in range(2):
            assert (await stream.next_block(30)).startswith(("retry: ", ":"))
        assert served.publish("untouched", 1).status_code == 202

        # Then
        assert await stream.next_event() == event("1")
