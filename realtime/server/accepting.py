"""How connections are accepted: all that wait, a burst each turn of the event loop."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import structlog

from realtime.process import file_limit
from realtime.rate_limit import RateLimit
from realtime.server.listener import BACKLOG

logger = structlog.get_logger("sse")

BURST: Final = 64
"""How many are accepted before the loop does other work: some 3 ms."""

SPARE_FILES: Final = 32
"""Left for NATS, the log and what else is open beside the connections."""

PAUSE_SECONDS: Final = 0.05
"""After which it is tried again where there is no file left for another."""

_NO_MORE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts connections on `listener` and gives each a protocol from `factory`, in
    the place of asyncio's own server. libuv accepts one a turn: beside a thousand busy
    connections, whose turns are long, a publisher's new one would wait for seconds.

    `open_connections` tells how many there are. Where they leave no more than
    `SPARE_FILES`, `make_room` is asked to close one that nobody misses.
    """

    def __init__(
        self,
        listener: socket.socket,
        factory: Callable[[], asyncio.Protocol],
        open_connections: Callable[[], int],
        make_room: Callable[[], bool],
    ) -> None:
        self._listener = listener
        self._factory = factory
        self._open = open_connections
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[Any]] = set()
        self._paused: asyncio.TimerHandle | None = None
        self._closed = False
        self._logged = RateLimit(60)
        self._most = file_limit(reserve=0) - SPARE_FILES
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accept no more. The second time does nothing."""
        if not self._closed:
            self._closed = True
            if self._paused is not None:
                self._paused.cancel()
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def accept_waiting(self) -> None:
        """Accept what waits at this moment: with the listener it would be reset."""
        if not self._closed and self._paused is None:
            for _ in range(BACKLOG // BURST):
                self._accept()

    async def wait_closed(self) -> None:
        """Wait until what was accepted has its protocol."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _accept(self) -> None:
        for _ in range(BURST):
            try:
                connected, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _NO_MORE:
                    continue  # of the connection: it was closed before it was accepted
                if times := self._logged.count(error.errno):
                    logger.warning("accept.failed", reason=str(error), times=times)
                self._make_room()
                self._pause()
                return
            task = self._loop.create_task(
                self._loop.connect_accepted_socket(self._factory, connected)
            )
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
            if self._open() + len(self._connecting) > self._most:
                # The file of what is closed is free after this turn: no burst now.
                self._make_room()
                return

    def _pause(self) -> None:
        self._loop.remove_reader(self._listener)
        self._paused = self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._paused = None
        self._loop.add_reader(self._listener, self._accept)
