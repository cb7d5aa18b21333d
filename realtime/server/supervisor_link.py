"""The worker's end of the lifeline: the socket pair by which it and its supervisor know
of each other.

Either reads the end of the file when the other has died, whatever killed it.
"""

import asyncio
import os
import signal
import socket
from typing import Final, Protocol

import prometheus_client
import structlog

from realtime.exceptions import MetricsUnavailable
from realtime.fleet.history.minutes import Hour, Past
from realtime.monitoring.metric_families import Family, families_of
from realtime.server import messages

logger = structlog.get_logger("sse")

VARIABLE: Final = "REALTIME_LIFELINE"
"""The environment variable that tells a worker which descriptors it inherited: its end
of the lifeline, and the socket to listen on."""

LEAVE: Final = signal.SIGUSR2
"""The signal by which the supervisor tells a worker to close its listener first and to
drain: the others take its connections."""

SCRAPE_SECONDS: Final = 1.5
"""For the supervisor to answer with everybody's metrics; it waits a second for those
who do not answer."""


class Worker(Protocol):
    """What the supervisor may ask for or command, of the server in this process."""

    def not_ready(self) -> str | None:
        """Why no stream should come here; None if all is well."""

    def listen_within(self, seconds: float) -> None:
        """Accept connections after so many seconds at the latest."""

    def inherit(self, past: Past) -> None:
        """Tell the fleet, too, what workers counted that have ended."""

    def stay(self) -> None:
        """There was no replacement: forget the wish to leave."""

    def worker_died(self, died: messages.Died) -> None:
        """Another worker of this supervisor died."""

    def supervisor_died(self) -> None:
        """Nobody watches over this process any more."""


class WorkerLifeline:
    """The worker's end. `listener` is the socket to listen on."""

    def __init__(self, end: socket.socket, listener: socket.socket) -> None:
        self._end = end
        self.listener = listener
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._scraping: asyncio.Future[bytes] | None = None

    @classmethod
    def inherited(cls) -> "WorkerLifeline | None":
        """What the supervisor passed; None if there is no supervisor."""
        descriptors = os.environ.get(VARIABLE)
        if not descriptors:
            return None
        end, listener = (socket.socket(fileno=int(d)) for d in descriptors.split(","))
        return cls(end, listener)

    async def attach(self, worker: Worker) -> None:
        """Answer the supervisor, on the running event loop: one that stands still does
        not."""
        # The supervisor sees to it, from outside.
        prometheus_client.REGISTRY.unregister(prometheus_client.PROCESS_COLLECTOR)
        reader, self._writer = await asyncio.open_unix_connection(sock=self._end)
        self._reading = asyncio.create_task(self._read(reader, worker))

    def listening(self) -> None:
        """Tell the supervisor that connections are accepted."""
        self._send(messages.Listening())

    def leave(self) -> None:
        """Ask the supervisor for a replacement; when that listens, it sends the signal
        to leave."""
        self._send(messages.Leave())

    def remember(self, instance: str, hour: Hour, *, leaves: bool) -> None:
        """Have the supervisor remember what was counted here, for when this process has
        ended; if it `leaves` that is now."""
        self._send(messages.Remember(instance, hour, leaves))

    async def scrape(self) -> bytes:
        """The metrics of all workers, in the classic text format. Raises
        `MetricsUnavailable`."""
        scraping = self._scraping
        if scraping is None:
            scraping = self._scraping = asyncio.get_running_loop().create_future()
            self._send(messages.Scrape())
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                return await asyncio.shield(scraping)
        except TimeoutError:
            if self._scraping is scraping:  # and not a later one
                self._scraping = None
            raise MetricsUnavailable("The supervisor does not answer.") from None

    async def close(self) -> None:
        """Tell what was counted to the last, and let go."""
        if self._reading is None or self._writer is None:
            return
        self._reading.cancel()
        self._send(messages.Told(_own_families()))
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # it has died before

    async def _read(self, reader: asyncio.StreamReader, worker: Worker) -> None:
        while message := await messages.read_message(reader):
            match message:
                case messages.Ask():
                    told = messages.Told(
                        _own_families(), message.number, worker.not_ready()
                    )
                    self._send(told)
                case messages.Listen():
                    worker.listen_within(message.within)
                case messages.Stay():
                    worker.stay()
                case messages.Inherit():
                    worker.inherit(message.past)
                case messages.Died():
                    worker.worker_died(message)
                case messages.Exposition() if self._scraping is not None:
                    self._scraping.set_result(message.text)
                    self._scraping = None
        worker.supervisor_died()

    def _send(self, message: messages.Message) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(messages.frame_of(message))


def _own_families() -> list[Family]:
    try:
        return families_of(prometheus_client.REGISTRY)
    except Exception:
        # Whichever library's collector is at fault: this process is well all the same.
        logger.exception("metrics.failed")
        return []
