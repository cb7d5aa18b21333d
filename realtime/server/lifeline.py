"""How a supervisor and its worker know of each other: a socket pair.

The worker writes one byte when it listens. Either reads the end of the file when the
other has died, whatever killed it.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "REALTIME_WORKER_LIFELINE"
"""The environment variable that tells a worker the descriptor of its end."""


class WorkerLifeline:
    """The worker's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def inherited(cls) -> "WorkerLifeline | None":
        """The end that the supervisor passed; None if there is no supervisor."""
        descriptor = os.environ.get(VARIABLE)
        return cls(socket.socket(fileno=int(descriptor))) if descriptor else None

    def listening(self) -> None:
        """Tell the supervisor that connections are accepted."""
        self._end.send(b"1")

    def when_cut(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the running event loop when the supervisor has died."""
        loop = asyncio.get_running_loop()

        def on_readable() -> None:
            # The supervisor never writes: this is the end of the file.
            loop.remove_reader(self._end)
            callback()

        self._end.setblocking(False)
        loop.add_reader(self._end, on_readable)
