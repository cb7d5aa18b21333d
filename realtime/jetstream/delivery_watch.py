"""Watches that what the stream holds is delivered: a consumer that answers, and sends
its heartbeats, may still deliver nothing."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from nats.aio.client import Client

from realtime import metrics
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.jetstream.stream import StreamState, next_message

STALL_SECONDS: Final = 4.0
"""An update that is stored is delivered within milliseconds, and by a replica that
lags, or to an event loop that is busy, within a second or two."""


class Reader(Protocol):
    """What reads the stream: by the consumer `name`, up to the sequence `position`;
    `idle` is set when it is told that there is nothing to deliver."""

    name: str
    position: int
    idle: asyncio.Event

    @property
    def progress(self) -> int:
        """Grows whenever something is read, or done with what was."""

    def catch_up(self) -> None:
        """Take note that nothing waits to be read."""


@dataclass(slots=True)
class Backlog:
    """What waits, from one session to the next. `waiting` updates at most have not been
    delivered, and nothing else either, since `since` (Unix seconds). `stalled` says why
    a session ended by that, until a later one has read all there is."""

    waiting: int = 0
    since: float | None = None
    stalled: str | None = None

    def grow(self, waiting: int, since: float) -> None:
        self.waiting = waiting
        self.since = self.since or since
        metrics.consumer_lag.set(waiting)

    def clear(self) -> None:
        """Nothing waits, or it is being delivered."""
        if self.waiting:
            self.waiting, self.since = 0, None
            metrics.consumer_lag.set(0)


class DeliveryWatch:
    """Watches `reader` during one session on `client`.

    A message waits if the stream still holds it, which JetStream is asked only where
    its last sequence has not been read: that may be of one that was deleted, purged or
    has expired since.
    """

    def __init__(self, client: Client, reader: Reader, backlog: Backlog) -> None:
        self._client = client
        self._reader = reader
        self._backlog = backlog
        self._stuck: tuple[int, float] | None = None
        self._told_idle = False

    async def pause(self, seconds: float, again: float) -> None:
        """Until the next look is due: in so many `seconds`, or in `again` if something
        waited at the last one, or at once if the reader has become idle."""
        idle = self._reader.idle
        with suppress(TimeoutError):
            async with asyncio.timeout(again if self._stuck else seconds):
                await idle.wait()
        self._told_idle = idle.is_set()
        idle.clear()

    async def look(self, state: StreamState) -> None:
        """Compare what the stream holds, of which `state` tells, with what was read.

        Raises `NatsUnavailable` if something has waited for `STALL_SECONDS` while
        nothing was read, or if JetStream does not answer.
        """
        reader = self._reader
        try:
            waiting = (
                await next_message(self._client, reader.position + 1)
                if state.last_sequence > reader.position
                else None
            )
        except PermissionDenied:
            # All that can be known then is what the consumer says.
            if self._told_idle:
                reader.catch_up()
            return
        if waiting is None:
            reader.catch_up()
        if waiting is None or waiting <= reader.position:
            self._stuck = None
            self._backlog.clear()
            return
        now = asyncio.get_running_loop().time()
        if self._stuck is None or self._stuck[0] != reader.progress:
            self._stuck = reader.progress, now
            return
        stuck_for = now - self._stuck[1]
        number = min(state.last_sequence - reader.position, state.messages)
        self._backlog.grow(max(1, number), time.time() - stuck_for)
        if stuck_for >= STALL_SECONDS:
            metrics.nats_errors["pull"].inc()
            self._backlog.stalled = (
                f"JetStream does not deliver: it has stored message {waiting}, and the "
                f"consumer {reader.name} stands still at {reader.position}."
            )
            raise NatsUnavailable(self._backlog.stalled)
