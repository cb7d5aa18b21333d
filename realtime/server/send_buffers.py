"""What the kernel keeps for clients that do not read, or have vanished."""

import asyncio
import socket
from collections.abc import Collection
from typing import Final, Protocol

import structlog

from realtime.http.tcp import memory, seconds_since_confirmed, unconfirmed

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


class Connection(Protocol):
    """The server's protocol object."""

    broke: bool

    @property
    def transport(self) -> asyncio.Transport: ...


async def bound_send_buffers(
    connections: Collection[Connection], interval: float, most: int
) -> None:
    """Every `interval` seconds, for ever, give a small buffer to each of `connections`
    that has a backlog in the kernel. What does not fit stays with the subscriber, which
    keeps its newest update only. If the backlogs of all take more than `most` bytes of
    the kernel's memory, those whose peers have been silent longest are given up.

    A small buffer for all from the start would be simpler, but makes every write to
    every client dearer: a fifth of the CPU of a broadcast (docs/benchmarks.md).
    """
    while True:
        await asyncio.sleep(interval)
        held: dict[Connection, int] = {}
        for number, connection in enumerate(list(connections), start=1):
            if not connection.transport.is_closing():
                taken = _bound(connection.transport.get_extra_info("socket"))
                if taken:
                    held[connection] = taken
            if number % BURST == 0:
                await asyncio.sleep(0)
        give_up_beyond(held, most)


def give_up_beyond(held: dict[Connection, int], most: int) -> None:
    """Abort as many connections of `held`, which says what bytes each of them takes,
    as are needed for the others to take no more than `most`."""
    excess = sum(held.values()) - most
    if excess <= 0:
        return
    given_up = 0
    for connection in sorted(held, key=_silence, reverse=True):
        if excess <= 0:
            break
        excess -= held[connection]
        given_up += 1
        connection.broke = True
        connection.transport.abort()
    logger.warning("backlog.given_up", connections=given_up, most_bytes=most)


def _silence(connection: Connection) -> float:
    transport = connection.transport
    if transport.is_closing():
        return 0.0
    return seconds_since_confirmed(transport.get_extra_info("socket"))


def _bound(connected: socket.socket) -> int:
    """Give `connected` a small buffer if it has a backlog; returns what its kernel
    buffers take if anything is unconfirmed, or 0."""
    try:
        waiting = unconfirmed(connected)
        if waiting > BACKLOG_BYTES:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return memory(connected) if waiting else 0
    except OSError:
        # It was closed just now.
        return 0
