import socket
from collections.abc import Iterator

import pytest

from realtime.http.tcp import (
    end_output,
    memory,
    seconds_since_confirmed,
    unconfirmed,
    wait_for_vanished,
)

UNREAD = 64 * 1024


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def pair(listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection: the client's and ours."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(False)
            yield client, accepted


@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [(900, 900_000), (1_000_000_000, 2**31 - 1)]
)
def test_wait_for_vanished__connection_accepted__is_given_up_after_so_long(
    listener: socket.socket, seconds: float, milliseconds: int
) -> None:
    # Given
    wait_for_vanished(listener, seconds)

    # When
    with socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    # Then
    assert found == milliseconds


def test_end_output__nothing_came__peer_reads_the_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, ours = pair
    # When
    told = end_output(ours)
    # Then: at once
    assert told
    client.setblocking(False)
    assert client.recv(1) == b""


def test_end_output__request_waits_to_be_read__connection_is_left(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, ours = pair
    # Given
    client.sendall(b"GET")
    # When
    told = end_output(ours)
    # Then
    assert not told
    assert ours.recv(3) == b"GET"
    assert ours.send(b"answer") == 6


def test_unconfirmed__peer_that_reads_nothing__what_is_kept_and_the_memory_for_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    _, ours = pair
    # Given
    assert (unconfirmed(ours), memory(ours)) == (0, 0)
    # When
    sent = ours.send(bytes(UNREAD))
    # Then
    assert 0 < unconfirmed(ours) <= sent
    assert memory(ours) >= unconfirmed(ours)


def test_seconds_since_confirmed__peer_is_there__less_than_since_it_was_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, ours = pair
    # When
    ours.sendall(b"event")
    assert client.recv(5) == b"event"
    # Then
    assert 0 <= seconds_since_confirmed(ours) < 60


def test_closed_connection__asked__told_and_not_raised(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    _, ours = pair
    # Given
    ours.close()
    # Then
    assert end_output(ours)
    assert seconds_since_confirmed(ours) == 0
