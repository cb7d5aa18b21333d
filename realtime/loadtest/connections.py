"""Non-blocking connections to the service, plain or TLS."""

import os
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from realtime.http.url import HttpUrl
from realtime.loadtest.stream_decoder import StreamDecoder

READ_BYTES = 256
"""Enough for the frame of an update in one read."""

PER_SOURCE = 20_000
"""Connections from one source address, to a service at a loopback address: the system
has some 28,000 ports for each."""

IP_BIND_ADDRESS_NO_PORT = 24
"""Python's `socket` has no name for it: choose the port when connecting, so that it
need be unique among connections to the same target only."""


REACH_SECONDS = 5


def reachable_address(url: HttpUrl) -> str:
    """The first IP address of the URL's host that accepts a connection.

    Raises `OSError` if none does.
    """
    error = OSError("it has no address")
    for address in url.addresses():
        try:
            socket.create_connection((address, url.port), REACH_SECONDS).close()
        except OSError as failed:
            error = failed
        else:
            return address
    raise error


@dataclass(slots=True, eq=False)
class Connection:
    """One subscriber's connection and its response so far.

    `is_open` is False until the request was sent. `environment` is the number of the
    one whose stream it is.
    """

    socket: socket.socket
    since: float
    environment: int
    is_open: bool = False
    decoder: StreamDecoder = field(default_factory=StreamDecoder)


class Connector:
    """Opens the connections of one process.

    `read(descriptor, size)` reads from any of them: all that is there if it is less
    than `size`. It raises `BlockingIOError` if that is nothing, and returns nothing at
    the end.
    """

    def __init__(
        self, streams: Sequence[HttpUrl], address: str, subscribers: int
    ) -> None:
        """`subscribers` is how many there are in all processes; they take the
        `streams`, all of one service, in turn. `address` is that service's IP
        address."""
        self._url = streams[0]
        self._address = address
        self._has_many_sources = subscribers > PER_SOURCE and address.startswith("127.")
        self._tls = ssl.create_default_context() if self._url.tls else None
        self._secured: dict[int, ssl.SSLSocket] = {}
        self.read: Callable[[int, int], bytes] = (
            os.read if self._tls is None else self._read_secured
        )
        self._requests = [
            (
                f"GET {one.path} HTTP/1.1\r\n"
                f"Host: {one.authority}\r\n"
                "Accept: text/event-stream\r\n"
                "Cache-Control: no-cache\r\n"
                "\r\n"
            ).encode()
            for one in streams
        ]

    def start(self, number: int, now: float) -> Connection:
        """Begin to connect subscriber `number`; `advance` goes on when it is writable.

        Raises `OSError`.
        """
        connecting = socket.socket(
            socket.AF_INET6 if ":" in self._address else socket.AF_INET
        )
        try:
            connecting.setblocking(False)
            if self._has_many_sources:
                connecting.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connecting.bind((f"127.0.0.{2 + number // PER_SOURCE}", 0))
            with suppress(BlockingIOError):
                connecting.connect((self._address, self._url.port))
        except OSError:
            connecting.close()
            raise
        return Connection(connecting, now, number % len(self._requests))

    def advance(self, connection: Connection) -> bool:
        """Whether the request is on its way; if not, try again at the next event.

        Raises `OSError` if the connection failed.
        """
        error = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        if self._tls is not None:
            secured = connection.socket
            if not isinstance(secured, ssl.SSLSocket):
                # The descriptor stays the same.
                connection.socket = secured = self._tls.wrap_socket(
                    secured,
                    server_hostname=self._url.host,
                    do_handshake_on_connect=False,
                )
                self._secured[secured.fileno()] = secured
            try:
                secured.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
        connection.socket.sendall(self._requests[connection.environment])
        connection.is_open = True
        return True

    def _read_secured(self, descriptor: int, size: int) -> bytes:
        """Everything: what OpenSSL keeps back causes no event."""
        parts: list[bytes] = []
        try:
            while part := self._secured[descriptor].recv(16_384):
                parts.append(part)
        except ssl.SSLWantReadError:
            if not parts:
                raise BlockingIOError from None
        return b"".join(parts)
