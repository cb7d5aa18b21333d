"""The workers of a supervisor: starts them, and sees each to its end."""

import asyncio
import signal
import time
from collections import deque
from typing import Final

import structlog

from realtime.exceptions import RealtimeError
from realtime.monitoring.exposition import render
from realtime.monitoring.worker_metrics import WorkersMetrics
from realtime.server import messages
from realtime.server.ended_workers import EndedWorkers
from realtime.server.listener import CannotListen, bind
from realtime.server.worker_process import OnMessage, WorkerProcess, reason_of

logger = structlog.get_logger("sse")

SCRAPE_SECONDS: Final = 1.0
"""For the workers to tell how they are; of one that does not the last is known."""

KNOWN_DEATHS: Final = 10
"""How many deaths a worker that is started is told of: who dies may be the only one, so
that nobody else knows of it."""


class WorkerNotStarted(RealtimeError):
    """The system has no process, file or port left; the message says which."""


class Pool:
    """`slots` has the workers by the place that each fills, None where one has died and
    is yet to be started again; `running` has those, too, that start or leave.

    Each worker listens on a socket of its own on `address`; `environment` is theirs,
    and `on_message` gets what they send.
    """

    def __init__(
        self,
        count: int,
        address: str,
        environment: dict[str, str],
        on_message: OnMessage,
    ) -> None:
        self._address = address
        self._environment = environment
        self._on_message = on_message
        self.slots: list[WorkerProcess | None] = [None] * count
        self.running: set[WorkerProcess] = set()
        self.generation = 0
        """How many commands to replace all workers there were."""
        self.stopping = asyncio.Event()
        self._deaths: deque[messages.Died] = deque(maxlen=KNOWN_DEATHS)
        self._metrics = WorkersMetrics(count)
        self._ended = EndedWorkers()
        self._ends: set[asyncio.Task[None]] = set()

    async def start(self, slot: int, old: WorkerProcess | None = None) -> WorkerProcess:
        """Start a worker for `slot`, on the socket of `old` or on a new one. Raises
        `WorkerNotStarted`."""
        try:
            listener = old.listener if old else bind(self._address, shared=True)
        except CannotListen as error:
            raise WorkerNotStarted(str(error)) from error
        try:
            worker = await WorkerProcess.start(
                slot, self.generation, listener, self._environment, self._on_message
            )
        except OSError as error:
            if old is None:
                listener.close()
            raise WorkerNotStarted(str(error)) from error
        self.running.add(worker)
        self._tell_ended(worker)
        for died in self._deaths:
            worker.tell(died)
        end = asyncio.get_running_loop().create_task(self._see_to_end(worker))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        logger.info("worker.started", worker=slot, pid=worker.pid)
        if self.stopping.is_set():
            worker.signal(signal.SIGTERM)
            listener.close()
        return worker

    def stop(self) -> None:
        """Have all workers drain and end, and start no more."""
        self.stopping.set()
        self.signal(signal.SIGTERM)
        for worker in self.running:
            # Each worker has its own, and closes it last. What would still connect to
            # ours is to be refused, and not to wait for an answer that never comes.
            worker.listener.close()

    def signal(self, number: int) -> None:
        """Send the signal `number` to all workers."""
        for worker in self.running:
            worker.signal(number)

    def died(self, worker: WorkerProcess) -> str:
        """Let the other workers know that `worker` has died; returns of what."""
        reason = reason_of(worker.ended.result())
        died = messages.Died(worker.slot, worker.pid, reason, time.time())
        self._deaths.append(died)
        for other in self.running:
            other.tell(died)
        return reason

    def remember(self, worker: WorkerProcess, counted: messages.Remember) -> None:
        """Keep what `worker` has counted for when it has ended."""
        if self._ended.note(worker.pid, counted):
            self._tell_ended(*self.running)

    async def scrape(self) -> bytes:
        """The metrics of all workers, in the classic text format."""
        asked = [worker.ask() for worker in self.running if not worker.silent]
        if asked:
            await asyncio.wait(asked, timeout=SCRAPE_SECONDS)
        return render(self._metrics.of(self.running))

    async def _see_to_end(self, worker: WorkerProcess) -> None:
        code = await worker.wait()
        # In one go, so that no scrape meets its counters twice or not at all.
        self.running.remove(worker)
        self._metrics.retire(worker.families)
        if self._ended.end(worker.pid):
            self._tell_ended(*self.running)
        worker.ended.set_result(code)

    def _tell_ended(self, *workers: WorkerProcess) -> None:
        """Tell `workers` what those counted that have ended."""
        if (past := self._ended.past) is not None:
            for worker in workers:
                worker.tell(messages.Inherit(past))
