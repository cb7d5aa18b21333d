"""Replaces workers one by one, none by one that cannot serve streams."""

import asyncio
import signal
from typing import Final

import structlog

from realtime.server import messages
from realtime.server.pool import Pool, WorkerNotStarted
from realtime.server.signals import LEAVE
from realtime.server.worker_process import WorkerProcess, reason_of

logger = structlog.get_logger("sse")

READY_SECONDS: Final = 60.0
"""For a new worker until it can serve streams: to read the latest updates of 300,000
environments takes some 6 s. Until then, and if it does not get there (NATS is away, the
new version cannot start), the old one stays."""

EXIT_SECONDS: Final = 5.0
"""From the end of the link to a worker to the end of its process."""


class RollingReplacement:
    """Replaces the workers of `pool`, each when its successor can serve streams; an old
    one may take `stop_within` seconds to drain and to end.

    A worker belongs to the generation of the last command before its start: a command
    that comes while workers are being replaced is for those, too, that were started
    just before it.
    """

    def __init__(self, pool: Pool, stop_within: float) -> None:
        self._pool = pool
        self._stop_within = stop_within
        self._successors: dict[WorkerProcess, WorkerProcess] = {}
        self._running: asyncio.Task[None] | None = None
        self._given_up = 0
        """The newest generation of which one could not be had."""

    def replace_all(self) -> None:
        """Replace every worker that runs now."""
        self._pool.generation += 1
        self._begin()

    def replace(self, worker: WorkerProcess) -> None:
        """Replace `worker`, which wants to leave."""
        worker.wants_to_leave = True
        self._begin()

    def successor_of(self, worker: WorkerProcess) -> WorkerProcess | None:
        """Who is being started to take the place of `worker`."""
        return self._successors.get(worker)

    async def finish(self) -> None:
        """Wait for what is under way when everything stops."""
        if self._running is not None:
            await self._running

    def _begin(self) -> None:
        if self._running is None or self._running.done():
            loop = asyncio.get_running_loop()
            self._running = loop.create_task(self._run())

    async def _run(self) -> None:
        logger.info("workers.replacing")
        complete = True
        while (old := self._next()) is not None:
            generation = self._pool.generation
            complete = await self._replace(old)
            if not complete:
                self._give_up(generation)
        if complete:
            logger.info("workers.replaced")

    def _next(self) -> WorkerProcess | None:
        if self._pool.stopping.is_set():
            return None
        # Not the old generation's, if there is no newer one to be had.
        newest = self._pool.generation if self._pool.generation > self._given_up else 0
        for worker in self._pool.slots:
            if worker and (worker.wants_to_leave or worker.generation < newest):
                return worker
        return None

    def _give_up(self, generation: int) -> None:
        self._given_up = generation
        for worker in self._pool.slots:
            if worker is not None and worker.wants_to_leave:
                worker.wants_to_leave = False
                worker.tell(messages.Stay())

    async def _replace(self, old: WorkerProcess) -> bool:
        """Put another into the place of `old`; returns whether the next may follow."""
        try:
            new = await self._pool.start(old.slot, old)
        except WorkerNotStarted as error:
            logger.error("worker.not_started", worker=old.slot, reason=str(error))
            return False
        self._successors[old] = new
        listens = await new.listens(READY_SECONDS)
        del self._successors[old]
        if self._pool.stopping.is_set():
            await new.ended
            return False
        in_place = self._pool.slots[old.slot]
        if in_place is new:
            return True  # the old one has died, and the new one was there already
        if in_place is not old:
            # It died before the new one was there, and was replaced as any other.
            new.signal(signal.SIGTERM)
            await new.ended
            return True
        if not listens:
            await self._discard(new)
            return False
        # From here on the slot watches the new one.
        self._pool.slots[old.slot] = new
        old.replaced.set_result(None)
        old.signal(LEAVE)
        await self._await_end(old)
        return True

    async def _discard(self, new: WorkerProcess) -> None:
        reason = f"not ready within {READY_SECONDS:g} s: {new.not_ready}"
        if new.has_hung_up:
            await asyncio.wait([new.ended], timeout=EXIT_SECONDS)
        if new.ended.done():
            reason = reason_of(new.ended.result())
        new.signal(signal.SIGKILL)
        await new.ended
        logger.error("worker.not_replaced", worker=new.slot, pid=new.pid, reason=reason)

    async def _await_end(self, old: WorkerProcess) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(old.ended), self._stop_within)
        except TimeoutError:
            old.signal(signal.SIGKILL)
            await old.ended
