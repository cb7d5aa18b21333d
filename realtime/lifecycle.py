"""Where this process is in its life, and why it would serve no stream now."""

import os
import signal
import time
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, Protocol

from realtime import metrics


class Refusal(NamedTuple):
    """Why a stream cannot be served: one of `metrics.rejections`, and in words."""

    reason: str
    detail: str


class Phase(IntEnum):
    """What a process goes through, in this order."""

    SERVING = 0
    DRAINING = 1
    """It ends its streams, one after the other."""
    DRAINED = 2
    CLOSING = 3
    """Its listener is about to be closed."""


class Supervisor(Protocol):
    """Whoever runs this process as one of several workers."""

    def leave(self) -> None:
        """Replace this process, which is to drain then."""

    async def scrape(self) -> bytes:
        """The metrics of all workers, in the classic text format. Raises
        `MetricsUnavailable`."""


class Lifecycle:
    """The phase of this process, and whether it has died.

    `no_updates` returns why updates do not flow now (None: they do).
    """

    def __init__(self, no_updates: Callable[[], str | None]) -> None:
        self._no_updates = no_updates
        self.phase = Phase.SERVING
        self.supervisor: Supervisor | None = None
        """Set by the server in a worker."""
        self.died = False
        """Whether work in the background has ended: the process is to end with an exit
        code that says so when it has drained."""
        self.others_listen = False
        """Whether other processes take this one's new connections while it drains: a
        stream that is asked for here all the same, on an old connection, is served
        until the process ends, because a 503 would end some clients for good."""
        self.not_ready_since: float | None = None
        """Since when no stream should come here (Unix seconds)."""
        self.leaving = False
        """Whether it was told over NATS to leave. A worker is replaced first; where
        that fails it serves on."""
        self.drained_by = ""
        """The user who told it over NATS to leave."""
        self.drained_at: float | None = None
        """When the drain began (`time.monotonic`)."""
        self.streams_at_drain = 0

    @property
    def draining(self) -> bool:
        return self.phase >= Phase.DRAINING

    @property
    def not_ready(self) -> Refusal | None:
        """Why no stream should come here now; None if all is well."""
        if self.draining:
            return Refusal("draining", "This instance is shutting down.")
        if self.died:
            return Refusal("failed", "The background work of this instance has died.")
        return self._without_updates()

    @property
    def refusal(self) -> Refusal | None:
        """Why no stream can be served; None if one can."""
        if self.draining and self.others_listen and not self.died:
            return self._without_updates()
        return self.not_ready

    def _without_updates(self) -> Refusal | None:
        reason = self._no_updates()
        return Refusal("nats", reason) if reason else None

    def leave(self, by: str) -> None:
        """The user `by` told it to leave: end as on SIGTERM, where it is a worker after
        it was replaced."""
        self.drained_by = by
        self.leaving = True
        if self.supervisor is not None:
            self.supervisor.leave()
        else:
            terminate()

    def stay(self) -> None:
        """There is no replacement."""
        self.leaving, self.drained_by = False, ""

    def begin_drain(self, streams: int) -> None:
        """End what is open, so many `streams`."""
        self.phase = Phase.DRAINING
        self.drained_at = time.monotonic()
        self.streams_at_drain = streams
        self.note_readiness()

    def die(self) -> None:
        self.died = True
        self.note_readiness()

    def note_readiness(self) -> None:
        """Tell the metrics whether new streams are welcome, and note since when they
        are not. Called several times a second."""
        ready = self.not_ready is None
        metrics.ready.set(ready)
        if ready:
            self.not_ready_since = None
        elif self.not_ready_since is None:
            self.not_ready_since = time.time()


def terminate() -> None:
    """What whoever runs this process would do to stop it."""
    os.kill(os.getpid(), signal.SIGTERM)
