"""How a supervisor and its worker know of each other: a socket pair.

The worker writes one byte when it listens, and another when it wants to be replaced.
Either reads the end of the file when the other has died, whatever killed it.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

VARIABLE: Final = "REALTIME_WORKER"
"""The environment variable that tells a worker which descriptors it inherited: its end
of the lifeline, and the socket to listen on."""

LISTENS: Final = b"1"
WANTS_TO_LEAVE: Final = b"2"


class WorkerLifeline:
    """The worker's end. `listener` is the socket to listen on."""

    def __init__(self, end: socket.socket, listener: socket.socket) -> None:
        self._end = end
        self.listener = listener

    @classmethod
    def inherited(cls) -> "WorkerLifeline | None":
        """What the supervisor passed; None if there is no supervisor."""
        descriptors = os.environ.get(VARIABLE)
        if not descriptors:
            return None
        end, listener = (socket.socket(fileno=int(d)) for d in descriptors.split(","))
        return cls(end, listener)

    def listening(self) -> None:
        """Tell the supervisor that connections are accepted."""
        self._send(LISTENS)

    def leave(self) -> None:
        """Ask the supervisor for a replacement; when that listens, it sends the signal
        to leave."""
        self._send(WANTS_TO_LEAVE)

    def when_cut(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the running event loop when the supervisor has died."""
        loop = asyncio.get_running_loop()

        def on_readable() -> None:
            # The supervisor never writes: this is the end of the file.
            loop.remove_reader(self._end)
            callback()

        self._end.setblocking(False)
        loop.add_reader(self._end, on_readable)

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # if the supervisor has died, `when_cut` tells
            self._end.send(message)
