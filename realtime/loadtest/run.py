"""Runs a load test: processes of subscribers, a publisher, and what they report."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from typing import Any, Final

from realtime.loadtest.messages import (
    Announce,
    Begin,
    Finish,
    Finished,
    Progress,
    Settled,
)
from realtime.loadtest.publisher import Publisher, check_token
from realtime.loadtest.results import Results, together
from realtime.loadtest.scenario import LoadTestFailed, Scenario
from realtime.loadtest.subscribers import subscribe

TICK_SECONDS: Final = 0.25
END_SECONDS: Final = 5
"""How long a process may take to end, and longer than a delivery may take."""

OnProgress = Callable[[Results], None]


class LoadTest:
    """One run of `scenario`; `on_progress` is called several times a second."""

    def __init__(self, scenario: Scenario, on_progress: OnProgress) -> None:
        self._scenario = scenario
        self._on_progress = on_progress
        self._results = Results(
            subscribers=scenario.subscribers,
            processes=scenario.processes,
            environments=len(scenario.streams),
        )
        self._interrupted = threading.Event()
        self._pipes: list[Pipe] = []
        self._progress: dict[Pipe, Progress] = {}
        self._finished: set[Pipe] = set()

    def run(self) -> Results:
        """Everybody subscribes; then the updates are published; then what is still due
        is waited for. SIGINT cuts the first two short, a second one raises
        `KeyboardInterrupt`.

        Raises `LoadTestFailed`.
        """
        with self._processes(), self._interruptible():
            self._subscribe()
            if self._results.progress.connected and not self._interrupted.is_set():
                self._publish()
            self._finish()
        self._results.interrupted = self._interrupted.is_set()
        return self._results

    def _subscribe(self) -> None:
        while not self._interrupted.is_set():
            self._receive()
            everybody = len(self._progress) == len(self._pipes)
            if everybody and self._results.progress.waiting == 0:
                return

    def _publish(self) -> None:
        self._tell(Begin())
        publisher = Publisher(self._scenario, self._announce)
        start = time.monotonic()
        publisher.start()
        while publisher.is_alive():
            self._receive()
            self._results.published = publisher.published
            self._results.failures = publisher.failures
            progress = self._results.progress
            nobody_left = progress.connected == progress.dropped
            if nobody_left or self._interrupted.is_set():
                publisher.stop()
        self._results.published = publisher.published
        self._results.seconds = time.monotonic() - start

    def _finish(self) -> None:
        self._tell(Finish())
        deadline = time.monotonic() + self._scenario.grace + END_SECONDS
        while len(self._finished) < len(self._pipes):
            self._receive()
            if time.monotonic() > deadline:
                raise LoadTestFailed("A process of subscribers does not answer")

    def _announce(self, value: float, environment: int) -> None:
        self._tell(Announce(value, value + self._scenario.grace, environment))

    def _tell(self, message: object) -> None:
        for pipe in self._pipes:
            # One that has died, `_receive` will notice.
            with suppress(OSError):
                pipe.send(message)

    def _receive(self) -> None:
        """Take what the processes report, for a moment."""
        pipes = [pipe for pipe in self._pipes if pipe not in self._finished]
        ready = wait(pipes, TICK_SECONDS)
        for pipe in [pipe for pipe in pipes if pipe in ready]:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                raise LoadTestFailed("A process of subscribers has died") from None
            self._take(pipe, message)
        self._results.progress = together(list(self._progress.values()))
        self._on_progress(self._results)

    def _take(self, pipe: Pipe, message: object) -> None:
        match message:
            case Progress():
                self._progress[pipe] = message
            case Settled():
                self._results.add(message)
            case Finished(progress, cpu):
                self._progress[pipe] = progress
                self._results.cpu += cpu
                self._finished.add(pipe)

    @contextmanager
    def _processes(self) -> Iterator[None]:
        """The processes, each with a share of the subscribers."""
        scenario = self._scenario
        try:
            address = scenario.streams[0].reachable()
        except OSError as error:
            raise LoadTestFailed(
                f"Cannot reach {scenario.streams[0].url}: {error.strerror or error}"
            ) from None
        check_token(scenario)
        context = multiprocessing.get_context("spawn")
        processes = []
        # Not ours alone: children inherit it, and Ctrl-C comes to all in a terminal.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for share in scenario.shares():
                ours, theirs = context.Pipe()
                arguments = (
                    *(scenario.streams, address, scenario.subscribers, share),
                    *(scenario.ramp / scenario.processes, theirs),
                )
                process = context.Process(target=subscribe, args=arguments, daemon=True)
                process.start()
                # The other end is theirs alone, so that either side notices the
                # other's death.
                theirs.close()
                processes.append(process)
                self._pipes.append(ours)
        finally:
            signal.signal(signal.SIGINT, handler)
        try:
            yield
            for process in processes:
                process.join(END_SECONDS)
        finally:
            for process in processes:
                process.kill()
            for pipe in self._pipes:
                pipe.close()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        def interrupt(_number: int, _frame: Any) -> None:
            if self._interrupted.is_set():
                raise KeyboardInterrupt
            self._interrupted.set()

        handler = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
