"""The service of this process as one of several workers: what it tells its supervisor,
and what that commands."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import prometheus_client
import structlog

from realtime.exceptions import MetricsUnavailable
from realtime.monitoring.metric_families import Family, families_of
from realtime.server import messages
from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

INHERITED: Final = "REALTIME_LIFELINE"
"""The environment variable that tells a worker which descriptors it inherited: its end
of the link to its supervisor, and the socket to listen on."""

SCRAPE_SECONDS: Final = 1.5
"""For the supervisor to answer with everybody's metrics; it waits a second for those
who do not answer."""

REMEMBERED_IN_A_MINUTE: Final = 12
"""How often a worker tells its supervisor what it has counted: if it is killed, the
last few seconds are lost."""


def inherited_sockets() -> tuple[socket.socket, socket.socket] | None:
    """The end of the link and the listener that a supervisor passed; None if there is
    no supervisor."""
    descriptors = os.environ.get(INHERITED)
    if not descriptors:
        return None
    end, listener = (socket.socket(fileno=int(d)) for d in descriptors.split(","))
    return end, listener


class Worker:
    """`end` is the worker's of the link to its supervisor."""

    def __init__(self, end: socket.socket, service: RealtimeService) -> None:
        self._end = end
        self._service = service
        self.may_listen = asyncio.Event()
        self._link: messages.Link | None = None
        self._reading: asyncio.Task[None] | None = None
        self._scraping: asyncio.Future[bytes] | None = None
        self._leaves = False

    async def take_place(self, supervisor_died: Callable[[], None]) -> None:
        """Start beside the other workers; returns when this one is to listen: when it
        can serve streams, or when the supervisor does not want to wait for that.
        `supervisor_died` is called if nobody watches over this process any more."""
        await self.attach(supervisor_died)
        self._service.lifecycle.supervisor = self
        self._service.start()
        ready = asyncio.ensure_future(self._service.await_ready())
        ready.add_done_callback(lambda _: self.may_listen.set())
        await self.may_listen.wait()
        ready.cancel()

    async def attach(self, supervisor_died: Callable[[], None]) -> None:
        """Answer the supervisor, on the running event loop: one that stands still does
        not."""
        # The supervisor sees to it, from outside.
        prometheus_client.REGISTRY.unregister(prometheus_client.PROCESS_COLLECTOR)
        self._link = await messages.Link.over(self._end)
        self._reading = asyncio.create_task(self._read(self._link, supervisor_died))

    def listens(self) -> None:
        """Tell the supervisor that connections are accepted, and from now on what is
        counted here."""
        self._send(messages.Listening())
        self._service.keep_running("remembered", self._keep_remembered())

    def leave(self) -> None:
        """Ask the supervisor for a replacement; when that listens, it sends the signal
        to leave."""
        self._send(messages.Leave())

    def leaves(self) -> None:
        """Have the supervisor answer from now on for what was counted here."""
        self._leaves = True
        self._remember()

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
        """Tell the supervisor what was counted to the last, and let go."""
        if self._link is not None and self._reading is not None:
            self._remember()
            self._reading.cancel()
            self._send(messages.Status(_own_families()))
            self._link.close()
            await self._link.wait_closed()

    async def _read(
        self, link: messages.Link, supervisor_died: Callable[[], None]
    ) -> None:
        while message := await link.receive():
            self._follow(message)
        supervisor_died()

    def _follow(self, message: messages.AnyMessage) -> None:
        match message:
            case messages.Ask(number):
                refusal = self._service.not_ready
                reason = refusal.detail if refusal else None
                self._send(messages.Status(_own_families(), number, reason))
            case messages.Listen(within):
                loop = asyncio.get_running_loop()
                loop.call_later(within, self.may_listen.set)
            case messages.Stay():
                self._service.lifecycle.stay()
            case messages.Inherit(past):
                self._service.recorder.past = past
            case messages.Died(worker, pid, reason, at):
                self._service.event_recorder.worker_died(worker, pid, reason, at)
            case messages.Exposition(text) if self._scraping is not None:
                self._scraping.set_result(text)
                self._scraping = None

    def _send(self, message: messages.Message) -> None:
        if self._link is not None:
            self._link.send(message)

    async def _keep_remembered(self) -> None:
        """For ever: a process that is killed says nothing any more."""
        while True:
            self._remember()
            await asyncio.sleep(self._service.recorder.seconds / REMEMBERED_IN_A_MINUTE)

    def _remember(self) -> None:
        instance, recorder = self._service.instance, self._service.recorder
        try:
            self._send(messages.Remember(instance, recorder.state(), self._leaves))
        except Exception:
            # A history is no reason for a server to end.
            logger.exception("history.failed")


def _own_families() -> list[Family]:
    try:
        return families_of(prometheus_client.REGISTRY)
    except Exception:
        # Whichever library's collector is at fault: this process is well all the same.
        logger.exception("metrics.failed")
        return []
