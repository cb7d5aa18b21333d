"""All the connections of a process: whose request is overdue, and which of them can be
closed when files run short."""

import asyncio
from collections.abc import Sized
from typing import Final, Protocol

import structlog

from realtime import metrics
from realtime.rate_limit import RateLimit

logger = structlog.get_logger("sse")

REQUEST_SECONDS: Final = 10.0
"""From a connection, or the first byte of a further request, to the request's last."""

PATIENCE_SECONDS: Final = 1.0
"""The same, where files run short. One that has only just come may be a publisher's."""

SWEEP_SECONDS: Final = 1.0


class Connection(Protocol):
    """The server's protocol object."""

    def expire(self) -> None:
        """Close the connection, unless a response is under way."""


class Connections:
    """`unfinished` are those of which a request is expected, with the time since when,
    and `idle` those that were answered and are kept alive; the oldest first. An open
    stream is in neither, and costs nothing here.
    """

    def __init__(self) -> None:
        self.unfinished: dict[Connection, float] = {}
        self.idle: dict[Connection, None] = {}
        self._logged = RateLimit(60)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest; where none is, the one
        whose request has been awaited for longest. Returns whether one was closed.

        Idle connections are limited by nothing else, and would take the files of
        publishers and probes.
        """
        if self.idle:
            connection = next(iter(self.idle))
            del self.idle[connection]
            connection.expire()
        elif not self._expire_oldest(PATIENCE_SECONDS):
            return False
        metrics.idle_connections_closed_total.inc()
        if times := self._logged.count("closed"):
            logger.warning("connections.closed_for_others", closed=times)
        return True

    def _expire_oldest(self, seconds: float) -> bool:
        """Expire the connection whose request has been awaited for longest, if that is
        so many seconds; returns whether there was one."""
        if not self.unfinished:
            return False
        connection, since = next(iter(self.unfinished.items()))
        if since > asyncio.get_running_loop().time() - seconds:
            return False
        del self.unfinished[connection]
        connection.expire()
        return True

    async def watch(self, connections: Sized) -> None:
        """Expire, for ever, whatever has been unfinished for too long, and tell the
        metrics how many `connections` are open."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            metrics.connections.set(len(connections))
            while self._expire_oldest(REQUEST_SECONDS):
                pass
