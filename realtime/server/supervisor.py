"""Several workers on one port: starts, watches, replaces and stops them."""

import asyncio
import math
import os
import signal
import time
from asyncio import FIRST_COMPLETED
from collections import Counter, deque
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

import structlog

from realtime import metrics
from realtime.backoff import jittered
from realtime.monitoring.exposition import render
from realtime.monitoring.worker_metrics import WorkersMetrics
from realtime.server import messages
from realtime.server.ended_workers import WorkersPast
from realtime.server.limits import processors
from realtime.server.listener import CannotListen, bind
from realtime.server.replacement import RollingReplacement, WorkerNotStarted
from realtime.server.signals import terminal
from realtime.server.spawn import spawn
from realtime.server.worker_process import (
    BEAT_SECONDS,
    START_BEATS,
    WorkerProcess,
    reason_of,
)

logger = structlog.get_logger("sse")

FIRST_DELAY: Final = 0.5
MAX_DELAY: Final = 15.0
"""Seconds before a worker that died is replaced, give or take half; doubled from one
death to the next until a worker has lived for as long as `MAX_DELAY`."""

STOP_SECONDS: Final = 10.0
"""After the drain, before a worker that does not stop is killed."""

HEAD_START_SECONDS: Final = 2.0
"""For a worker to get ready before it listens: the others take the connections
meanwhile, and would have answered what this one must still refuse. Longer than that it
is NATS that is away, and `/readyz` is to say so."""

SCRAPE_SECONDS: Final = 1.0
"""For the workers to tell how they are; of one that does not the last is known."""


DEATHS_TOLD: Final = 10
"""To a worker that is started: who dies may be the only one, so that nobody else knows
of it."""


class Supervisor:
    """Runs `count` workers: this same command line again, each with a lifeline and with
    a socket of its own on `address`.

    `environment` is theirs; `drain` is how long their streams may take to end.

    SIGTERM and SIGINT drain all workers in parallel; a second SIGINT ends all streams
    at once. SIGHUP replaces them one by one, and a worker that asks for it is replaced,
    too: the new one listens, on the same socket, before the old one leaves, so that no
    connection is refused or reset. A worker that hangs is killed, and one that died is
    started again.
    """

    def __init__(
        self, count: int, address: str, environment: dict[str, str], *, drain: float
    ) -> None:
        self._address = address
        self._environment = environment
        self.stop_within = drain + STOP_SECONDS
        self.workers: list[WorkerProcess | None] = [None] * count
        self.stopping = asyncio.Event()
        self._alive: set[WorkerProcess] = set()
        self._deaths: Counter[int] = Counter()
        """By slot: those for which no worker that listens has been started yet."""
        self._latest_deaths: deque[messages.Died] = deque(maxlen=DEATHS_TOLD)
        self._replacement = RollingReplacement(self)
        self._metrics = WorkersMetrics(count)
        self._past = WorkersPast()
        self._start_beats = START_BEATS * math.ceil(count / processors())
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Supervise until stopped by a signal; returns when every worker has gone."""
        loop = asyncio.get_running_loop()
        self._loop.set_result(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        logger.info("supervisor.started", workers=len(self.workers), pid=os.getpid())
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._keep(slot) for slot in range(len(self.workers))))
        await self._replacement.finish()
        watching.cancel()
        for worker in self.workers:
            if worker is not None:
                worker.listener.close()
        logger.info("supervisor.stopped")

    def exposition(self) -> bytes:
        """The metrics of all workers, in the classic text format; for other threads.
        Raises `TimeoutError`."""
        loop = self._loop.result(SCRAPE_SECONDS)
        scraping = asyncio.run_coroutine_threadsafe(self._scrape(), loop)
        return scraping.result(2 * SCRAPE_SECONDS)

    async def start(self, slot: int, old: WorkerProcess | None = None) -> WorkerProcess:
        """Start a worker for `slot`, on the socket of `old` or on a new one. Raises
        `WorkerNotStarted`."""
        try:
            listener = old.listener if old else bind(self._address, shared=True)
        except CannotListen as error:
            raise WorkerNotStarted(str(error)) from error
        try:
            worker = await spawn(
                slot,
                self._replacement.generation,
                listener,
                self._environment,
                self._on_message,
            )
        except OSError as error:
            if old is None:
                listener.close()
            raise WorkerNotStarted(str(error)) from error
        self._alive.add(worker)
        self._tell_past(worker)
        for died in self._latest_deaths:
            worker.tell(died)
        self._keep_running(self._see_to_end(worker))
        logger.info("worker.started", worker=slot, pid=worker.pid)
        if self.stopping.is_set():
            worker.send(signal.SIGTERM)
            listener.close()
        return worker

    async def _keep(self, slot: int) -> None:
        """Keep a worker in `slot` until everything stops."""
        delay = FIRST_DELAY
        loop = asyncio.get_running_loop()
        while not self.stopping.is_set():
            worker = self.workers[slot]
            if worker is None:
                try:
                    worker = await self.start(slot)
                except WorkerNotStarted as error:
                    delay = await self._back_off(
                        delay, "worker.not_started", worker=slot, reason=str(error)
                    )
                    continue
                worker.tell(messages.Listen(HEAD_START_SECONDS))
                self.workers[slot] = worker
            born = loop.time()
            either: set[asyncio.Future[Any]] = {worker.ended, worker.replaced}
            await asyncio.wait(either, return_when=FIRST_COMPLETED)
            # Who has replaced it sees to its end.
            if worker.replaced.done() or self.stopping.is_set():
                continue
            if loop.time() - born >= MAX_DELAY:
                delay = FIRST_DELAY
            delay = await self._on_death(worker, delay)
        if (worker := self.workers[slot]) is not None:
            await worker.ended

    async def _on_death(self, worker: WorkerProcess, delay: float) -> float:
        """Let its successor take its place, if one was on its way, or wait for so many
        seconds until another may be started; returns the next delay."""
        self._deaths[worker.slot] += 1
        reason = reason_of(worker.ended.result())
        about = {"worker": worker.slot, "pid": worker.pid, "reason": reason}
        self._tell_of_death(worker, reason)
        successor = self._replacement.successor_of(worker)
        self.workers[worker.slot] = successor
        if successor is not None:
            logger.error("worker.died", **about, restart_in=0)
            successor.tell(messages.Listen())
            return delay
        # What waits in its backlog is lost, but the others get what comes now.
        worker.listener.close()
        return await self._back_off(delay, "worker.died", **about)

    def _tell_of_death(self, worker: WorkerProcess, reason: str) -> None:
        """Let the other workers remember it."""
        died = messages.Died(worker.slot, worker.pid, reason, time.time())
        self._latest_deaths.append(died)
        for one in self._alive:
            one.tell(died)

    async def _back_off(self, delay: float, event: str, **about: object) -> float:
        """Say what happened and wait for `delay`, give or take half, unless everything
        stops; returns the next delay."""
        wait = jittered(delay)
        logger.error(event, **about, restart_in=round(wait, 2))
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), wait)
        return min(delay * 2, MAX_DELAY)

    async def _see_to_end(self, worker: WorkerProcess) -> None:
        code = await worker.wait()
        # In one go, so that no scrape meets its counters twice or not at all.
        self._alive.remove(worker)
        self._metrics.retire(worker.families)
        if self._past.end(worker.pid):
            self._tell_past(*self._alive)
        worker.ended.set_result(code)

    async def _watch(self) -> None:
        """Kill whoever hangs, for ever."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for worker in self._alive:
                worker.beat()
                if worker.hangs(self._start_beats):
                    logger.error("worker.hung", worker=worker.slot, pid=worker.pid)
                    worker.send(signal.SIGKILL)

    async def _scrape(self) -> bytes:
        asked = [worker.ask() for worker in self._alive if not worker.silent]
        if asked:
            await asyncio.wait(asked, timeout=SCRAPE_SECONDS)
        return render(self._metrics.of(self._alive))

    def _tell_past(self, *workers: WorkerProcess) -> None:
        if (past := self._past.past) is not None:
            for worker in workers:
                worker.tell(messages.Inherit(past))

    async def _tell_metrics(self, worker: WorkerProcess) -> None:
        try:
            worker.tell(messages.Exposition(await self._scrape()))
        except Exception:
            # Metrics are no reason for anything else to fail. The worker answers 503.
            logger.exception("metrics.failed")

    def _on_message(self, worker: WorkerProcess, message: messages.AnyMessage) -> None:
        match message:
            case messages.Listening():
                metrics.worker_restarts_total.inc(self._deaths.pop(worker.slot, 0))
            case messages.Leave() if worker in self.workers:
                self._replacement.replace(worker)
            case messages.Remember():
                if self._past.note(worker.pid, message):
                    self._tell_past(*self._alive)
            case messages.Scrape():
                self._keep_running(self._tell_metrics(worker))

    def _keep_running(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_hangup(self) -> None:
        if terminal.was_closed():
            self._stop(signal.SIGTERM)
        else:
            self._replacement.replace_all()

    def _stop(self, number: int) -> None:
        if self.stopping.is_set():
            # A second SIGINT is for those who do not want to wait.
            self._signal_all(number)
            return
        self.stopping.set()
        self._signal_all(signal.SIGTERM)
        for worker in self._alive:
            # Each worker has its own, and closes it last. What would still connect to
            # ours is to be refused, and not to wait for an answer that never comes.
            worker.listener.close()
        loop = asyncio.get_running_loop()
        loop.call_later(self.stop_within, self._signal_all, signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        for worker in self._alive:
            worker.send(number)
