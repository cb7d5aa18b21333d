"""Log lines are written by a thread of their own: whoever reads the log may stand
still, and the event loop must not wait for it."""

import logging
import os
import select
import sys
import time
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Any, Final

QUEUED: Final = 2000
"""Lines that may wait to be written; more are dropped, and counted."""

FLUSH_SECONDS: Final = 1.0
"""For the last lines, when the process ends and somebody may be stuck reading them."""


class BackgroundHandler(QueueHandler):
    """Formats a record at once and leaves the writing to a thread, which starts with
    the first record of the process: a forked child has one of its own."""

    def __init__(self) -> None:
        # Not `Queue`, which takes a lock: what a garbage collection logs in the middle
        # of another line would wait for it for ever.
        self.queue: SimpleQueue[Any]
        super().__init__(SimpleQueue())
        self._writer: StderrWriter | None = None
        self._enqueued = 0
        os.register_at_fork(after_in_child=self._forget)

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._writer is None:
            self._start()
        if self.queue.qsize() >= QUEUED:
            count_dropped("full")
        else:
            self._enqueued += 1
            self.queue.put(record)

    def flush(self) -> None:
        """Wait until everything is written, for `FLUSH_SECONDS` at most."""
        deadline = time.monotonic() + FLUSH_SECONDS
        while self._writer is not None and self._writer.written < self._enqueued:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)

    def _start(self) -> None:
        writer = StderrWriter()
        QueueListener(self.queue, writer).start()
        self._writer, self._enqueued = writer, 0

    def _forget(self) -> None:
        """In a forked child, which has neither the thread nor what it was to write."""
        self.queue, self._writer = SimpleQueue(), None


class StderrWriter(logging.Handler):
    """Writes to the standard error output itself, not to Python's file: a thread that
    is stuck in that holds a lock, and an interpreter that wants it at its end aborts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def createLock(self) -> None:
        """None: only one thread writes, and `logging.shutdown` would wait for it."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        rest = f"{record.message}\n".encode(errors="backslashreplace")
        try:
            while rest:
                rest = rest[self._write(rest) :]
        except OSError:  # nobody reads it any more
            count_dropped("full")
        self.written += 1

    def _write(self, data: bytes) -> int:
        if sys.__stderr__ is None:
            return len(data)  # the process was started without one
        descriptor = sys.__stderr__.fileno()
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            select.select([], [descriptor], [])
            return 0


def count_dropped(reason: str) -> None:
    """Count a line that is not written: one of `metrics.log_lines_dropped`."""
    # Not before Django is set up, and what is logged until then is not dropped.
    from realtime import metrics

    metrics.log_lines_dropped[reason].inc()
