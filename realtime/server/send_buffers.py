"""What the kernel keeps for clients that do not read."""

import asyncio
import fcntl
import socket
import termios
from collections.abc import Collection
from typing import Final, Protocol

import structlog

logger = structlog.get_logger("sse")

BACKLOG_BYTES: Final = 16 * 1024
"""Unsent or unconfirmed; some two hundred updates. A client that reads has nothing
here, or one round trip's worth."""

SEND_BUFFER_BYTES: Final = 16 * 1024
"""For a client with a backlog; Linux doubles it. Left alone a buffer grows to 4 MB, of
updates that nobody needs any more."""

BURST: Final = 256
"""How many connections are looked at before the event loop does other work: some half
a millisecond."""


class Transport(Protocol):
    """The part of asyncio's transport that is used here."""

    def get_extra_info(self, name: str) -> socket.socket: ...
    def is_closing(self) -> bool: ...


class Connection(Protocol):
    """The server's protocol object."""

    @property
    def transport(self) -> Transport: ...


async def bound_send_buffers(
    connections: Collection[Connection], interval: float
) -> None:
    """Every `interval` seconds, for ever, give a small buffer to each of `connections`
    that has a backlog in the kernel. What does not fit stays with the subscriber, which
    keeps its newest update only.

    A small buffer for all from the start would be simpler, but makes every write to
    every client dearer: a fifth of the CPU of a broadcast (docs/benchmarks.md).
    """
    while True:
        await asyncio.sleep(interval)
        for number, connection in enumerate(list(connections), start=1):
            if not connection.transport.is_closing():
                _bound(connection.transport.get_extra_info("socket"))
            if number % BURST == 0:
                await asyncio.sleep(0)


def _bound(connected: socket.socket) -> None:
    try:
        waiting = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
        if int.from_bytes(waiting, "little") > BACKLOG_BYTES:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    except OSError:
        # It was closed just now.
        return
