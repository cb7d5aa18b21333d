"""Several workers on one port: starts, watches, replaces and stops them."""

import asyncio
import itertools
import os
import signal
import socket
import sys
import time
from asyncio import FIRST_COMPLETED
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Any, Final

import structlog
from prometheus_client.multiprocess import mark_process_dead

from realtime.conf import jittered
from realtime.exposition import FOLDER
from realtime.metrics import INSTANCE_STARTED, WORKER_DEATHS, WORKER_NUMBER, WORKERS
from realtime.server.lifeline import VARIABLE
from realtime.server.listener import CannotListen, bind
from realtime.server.worker_process import WorkerProcess

logger = structlog.get_logger("sse")

FIRST_DELAY: Final = 0.5
MAX_DELAY: Final = 15.0
"""Seconds before a worker that died is replaced, give or take half; doubled from one
death to the next until a worker has lived for as long as `MAX_DELAY`."""

STOP_SECONDS: Final = 10.0
"""After the drain, before a worker that does not stop is killed."""

LEAVE: Final = signal.SIGUSR2
"""Tells a worker to close its listener first: the others take its connections."""


class Supervisor:
    """Runs `count` workers: this same command line again, each with a lifeline and with
    a socket of its own on `address`.

    `environment` is theirs; `drain` is how long their streams may take to end, and
    `metrics_folder` where they keep their metrics.

    SIGTERM and SIGINT drain all workers in parallel; a second SIGINT ends all streams
    at once. SIGHUP replaces them one by one, and a worker that asks for it is replaced,
    too: the new one listens, on the same socket, before the old one leaves, so that no
    connection is refused or reset.
    """

    def __init__(
        self,
        count: int,
        address: str,
        environment: dict[str, str],
        *,
        drain: float,
        metrics_folder: str,
    ) -> None:
        self._count = count
        self._address = address
        self._environment = environment
        self._stop_within = drain + STOP_SECONDS
        self._workers: list[WorkerProcess | None] = [None] * count
        self._alive: set[WorkerProcess] = set()
        self._metrics_folder = metrics_folder
        self._started = time.time()
        self._numbers: set[int] = set()
        self._stopping = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        # In their turn; who asks again is in it once.
        self._to_replace: dict[WorkerProcess, None] = {}

    async def run(self) -> None:
        """Supervise until stopped by a signal; returns when every worker has gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._replace_all)
        logger.info("supervisor.started", workers=self._count, pid=os.getpid())
        await asyncio.gather(*(self._keep(slot) for slot in range(self._count)))
        if self._replacing is not None:
            await self._replacing
        for worker in self._workers:
            if worker is not None:
                worker.listener.close()
        logger.info("supervisor.stopped")

    async def _keep(self, slot: int) -> None:
        """Keep a worker in `slot` until everything stops."""
        delay = FIRST_DELAY
        deaths = 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            worker = self._workers[slot]
            if worker is None:
                try:
                    worker = await self._start(slot, deaths=deaths)
                except (OSError, CannotListen) as error:
                    delay = await self._back_off(
                        delay, "worker.not_started", worker=slot, reason=str(error)
                    )
                    continue
                self._workers[slot] = worker
            born = loop.time()
            ending = asyncio.create_task(self._end_of(worker))
            either: set[asyncio.Future[Any]] = {ending, worker.replaced}
            await asyncio.wait(either, return_when=FIRST_COMPLETED)
            if worker.replaced.done():
                ending.cancel()  # who has replaced it sees to its end
                continue
            code = ending.result()
            if self._stopping.is_set():
                continue
            self._workers[slot] = None
            # One that has listened has counted those before it.
            deaths = 1 if worker.has_listened else deaths + 1
            # What waits in its backlog is lost, but the others get what comes now.
            worker.listener.close()
            if loop.time() - born >= MAX_DELAY:
                delay = FIRST_DELAY
            delay = await self._back_off(
                delay,
                "worker.died",
                worker=slot,
                pid=worker.process.pid,
                reason=_reason(code),
            )

    async def _back_off(self, delay: float, event: str, **about: object) -> float:
        """Say what happened and wait for `delay`, give or take half, unless everything
        stops; returns the next delay."""
        wait = jittered(delay)
        logger.error(event, **about, restart_in=round(wait, 2))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait)
        return min(delay * 2, MAX_DELAY)

    async def _start(
        self, slot: int, listener: socket.socket | None = None, *, deaths: int = 0
    ) -> WorkerProcess:
        """Start a worker for `slot`, on `listener` or on a new socket, which counts so
        many `deaths`. Raises `OSError` or `CannotListen`."""
        number = next(n for n in itertools.count() if n not in self._numbers)
        ours, theirs = socket.socketpair()
        with ExitStack() as unless_started, theirs:
            unless_started.enter_context(ours)
            if listener is None:
                listener = bind(self._address, shared=True)
                unless_started.enter_context(listener)
            self._numbers.add(number)
            unless_started.callback(self._numbers.remove, number)
            descriptors = theirs.fileno(), listener.fileno()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                env={
                    **self._environment,
                    VARIABLE: ",".join(str(descriptor) for descriptor in descriptors),
                    FOLDER: self._metrics_folder,
                    WORKER_NUMBER: str(number),
                    WORKERS: str(self._count),
                    WORKER_DEATHS: str(deaths),
                    INSTANCE_STARTED: str(self._started),
                },
                pass_fds=descriptors,
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C in a terminal is for this process, which passes it on.
                start_new_session=True,
            )
            unless_started.pop_all()
        worker = WorkerProcess(process, number, ours, listener, self._replace)
        self._alive.add(worker)
        logger.info("worker.started", worker=slot, pid=process.pid)
        if self._stopping.is_set():
            worker.send(signal.SIGTERM)
        return worker

    async def _end_of(self, worker: WorkerProcess) -> int:
        """Wait until `worker` has ended; returns its exit code."""
        code = await worker.process.wait()
        if worker in self._alive:
            self._alive.remove(worker)
            worker.close()
            # Its gauges are gone with it; its counters stay, for the next to count on.
            mark_process_dead(worker.number, self._metrics_folder)  # type: ignore[no-untyped-call]
            self._numbers.remove(worker.number)
        return code

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            # A second SIGINT is for those who do not want to wait.
            self._signal_all(number)
            return
        self._stopping.set()
        self._signal_all(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        loop.call_later(self._stop_within, self._signal_all, signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        for worker in self._alive:
            worker.send(number)

    def _replace_all(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._begin_to_replace(worker for worker in self._workers if worker)

    def _replace(self, worker: WorkerProcess) -> None:
        if worker in self._workers:
            self._begin_to_replace([worker])

    def _begin_to_replace(self, workers: Iterable[WorkerProcess]) -> None:
        self._to_replace.update(dict.fromkeys(workers))
        if self._replacing is None or self._replacing.done():
            loop = asyncio.get_running_loop()
            self._replacing = loop.create_task(self._replace_one_by_one())

    async def _replace_one_by_one(self) -> None:
        logger.info("workers.replacing")
        while self._to_replace:
            old = next(iter(self._to_replace))
            del self._to_replace[old]
            if self._stopping.is_set() or old not in self._workers:
                continue
            slot = self._workers.index(old)
            try:
                new = await self._start(slot, old.listener)
            except (OSError, CannotListen) as error:
                logger.error("worker.not_started", worker=slot, reason=str(error))
                self._to_replace.clear()
                return
            listens = await new.listens()
            if self._stopping.is_set():
                await self._end_of(new)
                return
            if self._workers[slot] is not old:
                # It died meanwhile, and was replaced as any other.
                new.send(signal.SIGTERM)
                await self._end_of(new)
                continue
            if not listens:
                logger.error("worker.not_replaced", worker=slot, pid=new.process.pid)
                new.send(signal.SIGKILL)
                await self._end_of(new)
                self._to_replace.clear()
                return
            # From here on the slot watches the new one.
            self._workers[slot] = new
            old.replaced.set_result(None)
            old.send(LEAVE)
            try:
                await asyncio.wait_for(self._end_of(old), self._stop_within)
            except TimeoutError:
                old.send(signal.SIGKILL)
                await self._end_of(old)
        logger.info("workers.replaced")


def _reason(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
