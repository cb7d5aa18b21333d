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

from realtime.loadtest.connections import reachable_address
from realtime.loadtest.messages import Announce, Order, Progress, UpdateResult
from realtime.loadtest.options import LoadTestFailed, LoadTestOptions
from realtime.loadtest.publisher import Publisher, check_token
from realtime.loadtest.results import Results
from realtime.loadtest.subscribers import subscribe

TICK_SECONDS: Final = 0.25
END_SECONDS: Final = 5
"""How long a process may take to end, and longer than a delivery may take."""


class LoadTest:
    """One run by `options`; `on_progress` is called several times a second."""

    def __init__(
        self, options: LoadTestOptions, on_progress: Callable[[Results], None]
    ) -> None:
        self._options = options
        self._on_progress = on_progress
        self._results = Results(
            subscribers=options.subscribers,
            processes=options.processes,
            environments=len(options.streams),
        )
        self._interrupted = threading.Event()
        self._pipes: list[Pipe] = []
        self._progress: dict[Pipe, Progress] = {}

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
        self._tell(Order.BEGIN)
        publisher = Publisher(self._options, self._results, self._announce)
        start = time.monotonic()
        publisher.start()
        while publisher.is_alive():
            self._receive()
            progress = self._results.progress
            nobody_left = progress.connected == progress.dropped
            if nobody_left or self._interrupted.is_set():
                publisher.stop()
        self._results.seconds = time.monotonic() - start

    def _finish(self) -> None:
        self._tell(Order.FINISH)
        deadline = time.monotonic() + self._options.grace + END_SECONDS
        while self._results.progress.finished < len(self._pipes):
            self._receive()
            if time.monotonic() > deadline:
                raise LoadTestFailed("A process of subscribers does not answer")

    def _announce(self, value: float, environment: int) -> None:
        self._tell(Announce(value, value + self._options.grace, environment))

    def _tell(self, message: object) -> None:
        for pipe in self._pipes:
            # One that has died, `_receive` will notice.
            with suppress(OSError):
                pipe.send(message)

    def _receive(self) -> None:
        """Take what the processes report, for a moment."""
        reporting = [
            pipe
            for pipe in self._pipes
            if pipe not in self._progress or not self._progress[pipe].finished
        ]
        ready = wait(reporting, TICK_SECONDS)
        for pipe in [pipe for pipe in reporting if pipe in ready]:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                raise LoadTestFailed("A process of subscribers has died") from None
            match message:
                case Progress():
                    self._progress[pipe] = message
                case UpdateResult():
                    self._results.add(message)
        self._results.progress = sum(self._progress.values(), Progress())
        self._on_progress(self._results)

    @contextmanager
    def _processes(self) -> Iterator[None]:
        """The processes, each with a share of the subscribers."""
        url = self._options.streams[0]
        try:
            address = reachable_address(url)
        except OSError as error:
            raise LoadTestFailed(
                f"Cannot reach {url.text}: {error.strerror or error}"
            ) from None
        check_token(self._options)
        context = multiprocessing.get_context("spawn")
        processes = []
        # Not ours alone: children inherit it, and Ctrl-C comes to all in a terminal.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for share in self._options.shares():
                ours, theirs = context.Pipe()
                arguments = (self._options, address, share, theirs)
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
