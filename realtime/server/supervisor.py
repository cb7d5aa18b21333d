"""Several workers on one port: starts, watches, replaces and stops them."""

import asyncio
import math
import os
import signal
from asyncio import FIRST_COMPLETED
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

import structlog

from realtime import metrics
from realtime.backoff import jittered
from realtime.process import processors
from realtime.server import messages
from realtime.server.pool import SCRAPE_SECONDS, Pool, WorkerNotStarted
from realtime.server.replacement import RollingReplacement
from realtime.server.signals import terminal
from realtime.server.worker_process import BEAT_SECONDS, START_BEATS, WorkerProcess

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


class Supervisor:
    """Runs `count` workers: this same command line again, each with a link to here and
    with a socket of its own on `address`.

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
        self._stop_within = drain + STOP_SECONDS
        self._pool = Pool(count, address, environment, self._on_message)
        self._replacement = RollingReplacement(self._pool, self._stop_within)
        self._deaths: Counter[int] = Counter()
        """By slot: those for which no worker that listens has been started yet."""
        self._start_beats = START_BEATS * math.ceil(count / processors())
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Supervise until stopped by a signal; returns when every worker has gone."""
        loop = asyncio.get_running_loop()
        self._loop.set_result(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        slots = self._pool.slots
        logger.info("supervisor.started", workers=len(slots), pid=os.getpid())
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._keep(slot) for slot in range(len(slots))))
        await self._replacement.finish()
        watching.cancel()
        for worker in slots:
            if worker is not None:
                worker.listener.close()
        logger.info("supervisor.stopped")

    def exposition(self) -> bytes:
        """The metrics of all workers, in the classic text format; for other threads.
        Raises `TimeoutError`."""
        loop = self._loop.result(SCRAPE_SECONDS)
        scraping = asyncio.run_coroutine_threadsafe(self._pool.scrape(), loop)
        return scraping.result(2 * SCRAPE_SECONDS)

    async def _keep(self, slot: int) -> None:
        """Keep a worker in `slot` until everything stops."""
        delay = FIRST_DELAY
        loop = asyncio.get_running_loop()
        slots, stopping = self._pool.slots, self._pool.stopping
        while not stopping.is_set():
            worker = slots[slot]
            if worker is None:
                try:
                    worker = await self._pool.start(slot)
                except WorkerNotStarted as error:
                    delay = await self._back_off(
                        delay, "worker.not_started", worker=slot, reason=str(error)
                    )
                    continue
                worker.tell(messages.Listen(HEAD_START_SECONDS))
                slots[slot] = worker
            born = loop.time()
            either: set[asyncio.Future[Any]] = {worker.ended, worker.replaced}
            await asyncio.wait(either, return_when=FIRST_COMPLETED)
            # Who has replaced it sees to its end.
            if worker.replaced.done() or stopping.is_set():
                continue
            if loop.time() - born >= MAX_DELAY:
                delay = FIRST_DELAY
            delay = await self._on_death(worker, delay)
        if (worker := slots[slot]) is not None:
            await worker.ended

    async def _on_death(self, worker: WorkerProcess, delay: float) -> float:
        """Let its successor take its place, if one was on its way, or wait for so many
        seconds until another may be started; returns the next delay."""
        self._deaths[worker.slot] += 1
        reason = self._pool.died(worker)
        about = {"worker": worker.slot, "pid": worker.pid, "reason": reason}
        successor = self._replacement.successor_of(worker)
        self._pool.slots[worker.slot] = successor
        if successor is not None:
            logger.error("worker.died", **about, restart_in=0)
            successor.tell(messages.Listen())
            return delay
        # What waits in its backlog is lost, but the others get what comes now.
        worker.listener.close()
        return await self._back_off(delay, "worker.died", **about)

    async def _back_off(self, delay: float, event: str, **about: object) -> float:
        """Say what happened and wait for `delay`, give or take half, unless everything
        stops; returns the next delay."""
        wait = jittered(delay)
        logger.error(event, **about, restart_in=round(wait, 2))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pool.stopping.wait(), wait)
        return min(delay * 2, MAX_DELAY)

    async def _watch(self) -> None:
        """Kill whoever hangs, for ever."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for worker in self._pool.running:
                worker.beat()
                if worker.hangs(self._start_beats):
                    logger.error("worker.hung", worker=worker.slot, pid=worker.pid)
                    worker.signal(signal.SIGKILL)

    def _on_message(self, worker: WorkerProcess, message: messages.AnyMessage) -> None:
        match message:
            case messages.Listening():
                metrics.worker_restarts_total.inc(self._deaths.pop(worker.slot, 0))
            case messages.Leave() if worker in self._pool.slots:
                self._replacement.replace(worker)
            case messages.Remember():
                self._pool.remember(worker, message)
            case messages.Scrape():
                answer = asyncio.create_task(self._answer_scrape(worker))
                self._answers.add(answer)
                answer.add_done_callback(self._answers.discard)

    async def _answer_scrape(self, worker: WorkerProcess) -> None:
        try:
            worker.tell(messages.Exposition(await self._pool.scrape()))
        except Exception:
            # Metrics are no reason for anything else to fail. The worker answers 503.
            logger.exception("metrics.failed")

    def _on_hangup(self) -> None:
        if terminal.was_closed():
            self._stop(signal.SIGTERM)
        else:
            self._replacement.replace_all()

    def _stop(self, number: int) -> None:
        if self._pool.stopping.is_set():
            # A second SIGINT is for those who do not want to wait.
            self._pool.signal(number)
            return
        self._pool.stop()
        loop = asyncio.get_running_loop()
        loop.call_later(self._stop_within, self._pool.signal, signal.SIGKILL)
