"""A worker, as its supervisor sees it."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from realtime.server.lifeline import LISTENS, WANTS_TO_LEAVE

START_SECONDS: Final = 30.0
"""A worker that does not listen by then is not waited for any longer."""


class WorkerProcess:
    """A worker's process, its number among those that live, our end of its lifeline,
    and the socket it listens on. `on_wish` is called when it wants to be replaced."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        number: int,
        lifeline: socket.socket,
        listener: socket.socket,
        on_wish: "Callable[[WorkerProcess], None]",
    ) -> None:
        self.process = process
        self.number = number
        self.listener = listener
        self._lifeline = lifeline
        self._on_wish = on_wish
        self._loop = asyncio.get_running_loop()
        self.replaced: asyncio.Future[None] = self._loop.create_future()
        """Done when another has taken its place; it is on its way out."""
        self._listens: asyncio.Future[bool] = self._loop.create_future()
        lifeline.setblocking(False)
        self._loop.add_reader(lifeline, self._on_readable)

    async def listens(self) -> bool:
        """Wait until it accepts connections; False if it died or takes too long."""
        done, _ = await asyncio.wait([self._listens], timeout=START_SECONDS)
        return bool(done) and self._listens.result()

    @property
    def has_listened(self) -> bool:
        """Whether it has ever accepted connections."""
        return self._listens.done() and self._listens.result()

    def close(self) -> None:
        """Its process has ended."""
        self._loop.remove_reader(self._lifeline)
        self._lifeline.close()
        if not self._listens.done():
            self._listens.set_result(False)

    def _on_readable(self) -> None:
        try:
            told = self._lifeline.recv(16)
        except OSError:
            told = b""
        if not told:
            self._loop.remove_reader(self._lifeline)
        if not self._listens.done():
            self._listens.set_result(LISTENS in told)
        if WANTS_TO_LEAVE in told:
            self._on_wish(self)

    def send(self, number: int) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)
