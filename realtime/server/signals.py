"""What signals mean before anything else is there to handle them.

Only the standard library is imported here, and little of it: a process that is PID 1 of
a container ignores every signal that it has no handler for.
"""

import os
import signal
from types import FrameType
from typing import Final

LEAVE: Final = signal.SIGUSR2
"""The signal by which the supervisor tells a worker to close its listener first and to
drain: the others take its connections."""


def end_quietly_on_signals() -> None:
    """From now on, until the server has its own handlers, SIGTERM and SIGINT end this
    process with exit code 0. SIGHUP is for workers, of which there are none yet; only a
    terminal that was closed ends it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _on_hangup)


def end_properly_on_daphne() -> None:
    """Until Twisted has a handler of its own, which comes when everything is imported,
    SIGTERM ends this process with exit code 0. SIGHUP is SIGTERM, for good: it would
    cut the streams off. SIGINT is left to Twisted, which would not replace ours."""
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, frame: FrameType | None) -> None:
    # Nothing that was begun has to be finished, and an embedded nats-server sees that
    # this process has gone. An exception might be lost, where the interpreter is in
    # a callback of its own.
    os._exit(0)


def _on_hangup(number: int, frame: FrameType | None) -> None:
    if terminal.was_closed():
        _end(number, frame)


class Terminal:
    """The terminal that this process was started in, if there is one: SIGHUP tells that
    it was closed, where else it asks for the workers to be replaced."""

    def __init__(self) -> None:
        # `nohup` is to be heeded.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._was_there = not ignored and self._is_there()

    def was_closed(self) -> bool:
        """Whether there was one, and is no more."""
        return self._was_there and not self._is_there()

    @staticmethod
    def _is_there() -> bool:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return False
        return True


terminal = Terminal()
