"""Watches that what the stream holds is delivered: a consumer that answers, and sends
its heartbeats, may still deliver nothing."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client

from realtime import metrics
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.jetstream.api import find_message
from realtime.jetstream.consumer import PullConsumer
from realtime.jetstream.stream import StreamState
from realtime.jetstream.subjects import ALL_SUBJECTS

STALL_SECONDS: Final = 4.0
"""An update that is stored is delivered within milliseconds, and by a replica that
lags, or to an event loop that is busy, within a second or two."""


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
    """Watches `consumer` during one session on `client`.

    A message waits if the stream still holds it, which JetStream is asked only where
    its last sequence has not been read: that may be of one that was deleted, purged or
    has expired since.
    """

    def __init__(
        self, client: Client, consumer: PullConsumer, backlog: Backlog
    ) -> None:
        self._client = client
        self._consumer = consumer
        self._backlog = backlog
        self._stuck: tuple[int, float] | None = None
        self._was_idle = False

    async def pause(self, seconds: float, again: float) -> None:
        """Until the next look is due: in so many `seconds`, or in `again` if something
        waited at the last one, or at once if the consumer has become idle."""
        idle = self._consumer.idle
        with suppress(TimeoutError):
            async with asyncio.timeout(again if self._stuck else seconds):
                await idle.wait()
        self._was_idle = idle.is_set()
        idle.clear()

    async def look(self, state: StreamState) -> None:
        """Compare what the stream holds, of which `state` tells, with what was read.

        Raises `NatsUnavailable` if something has waited for `STALL_SECONDS` while
        nothing was read, or if JetStream does not answer.
        """
        consumer = self._consumer
        try:
            waiting = await self._first_undelivered(state)
        except PermissionDenied:
            # All that can be known then is what the consumer says.
            if self._was_idle:
                consumer.catch_up()
            return
        if waiting is None:
            consumer.catch_up()
        if waiting is None or waiting <= consumer.position:
            self._stuck = None
            self._backlog.clear()
            return
        now = asyncio.get_running_loop().time()
        if self._stuck is None or self._stuck[0] != consumer.progress:
            self._stuck = consumer.progress, now
            return
        stuck_for = now - self._stuck[1]
        number = min(state.last_sequence - consumer.position, state.messages)
        self._backlog.grow(max(1, number), time.time() - stuck_for)
        if stuck_for >= STALL_SECONDS:
            metrics.nats_errors["pull"].inc()
            self._backlog.stalled = (
                f"JetStream does not deliver: it has stored message {waiting}, and the "
                f"consumer {consumer.name} stands still at {consumer.position}."
            )
            raise NatsUnavailable(self._backlog.stalled)

    async def _first_undelivered(self, state: StreamState) -> int | None:
        """The sequence of the first message that the stream holds after the last one
        that was read; None: there is none. Raises `NatsUnavailable`, which
        `PermissionDenied` is."""
        after = self._consumer.position
        if state.last_sequence <= after:
            return None
        try:
            found = await find_message(
                self._client, seq=after + 1, next_by_subj=ALL_SUBJECTS
            )
        except PermissionDenied:
            raise  # asked for again and again: no error
        except NatsUnavailable:
            metrics.nats_errors["create_jetstream"].inc()
            raise
        return found.identity[0] if found else None
