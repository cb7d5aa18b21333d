"""What happens to a stream as time passes: a keep-alive where it is quiet, and its end
where it is old enough or its client does not read."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from realtime import metrics
from realtime.backoff import jittered
from realtime.sse.subscriber import Subscriber

logger = structlog.get_logger("sse")

TICKS_PER_KEEPALIVE: Final = 60
"""The wheel's resolution: a keep-alive is at most this part of the interval late."""

MIN_TICK: Final = 0.05
"""Seconds; for intervals so short that the wheel would turn without pause."""

BURST: Final = 256
"""How many subscribers the wheel visits before it lets the event loop do other work:
after a broadcast to everyone, everyone's keep-alive falls due at once."""


class KeepAliveWheel:
    """A wheel of slots, one for each `tick` of the clock, that hold the subscribers to
    be visited then.

    `keepalive` is how long a stream may be quiet, `max_stream_age` how long it may last
    (0: no limit; jittered, so that streams opened together do not end together), and
    `stall` how long a connection may be backed up before it is given up, unless its
    peer has vanished; all in seconds. `end` is called with a subscriber and why its
    stream is to end, one of `metrics.disconnects`; `give_up` with one that raised, and
    what it raised.
    """

    def __init__(
        self,
        *,
        keepalive: float,
        max_stream_age: float,
        stall: float,
        clock: Callable[[], float],
        end: Callable[[Subscriber, str], None],
        give_up: Callable[[Subscriber, Exception], None],
    ) -> None:
        self._keepalive = keepalive
        self._max_stream_age = max_stream_age
        self._stall = stall
        self._clock = clock
        self._end = end
        self._give_up = give_up
        self.tick = max(keepalive / TICKS_PER_KEEPALIVE, MIN_TICK)
        self._slots: dict[int, set[Subscriber]] = {}

    def add(self, subscriber: Subscriber, now: float) -> None:
        """Visit `subscriber`, whose stream begins `now`, when that is due."""
        subscriber.quiet_since = now
        if self._max_stream_age:
            subscriber.ends_at = now + jittered(self._max_stream_age)
        self._schedule(subscriber, now + self._keepalive)

    def remove(self, subscriber: Subscriber) -> None:
        """Its stream has ended."""
        slot = self._slots.get(subscriber.due)
        if slot is not None:
            slot.discard(subscriber)

    async def turn(self) -> None:
        """Visit every subscriber that has fallen due by now."""
        reached = int(self._clock() / self.tick)
        for slot in [number for number in self._slots if number <= reached]:
            for visited, subscriber in enumerate(self._slots.pop(slot), start=1):
                if subscriber.environment is not None:
                    try:
                        self._visit(subscriber)
                    except Exception as error:
                        self._give_up(subscriber, error)
                if visited % BURST == 0:
                    await asyncio.sleep(0)

    def _visit(self, subscriber: Subscriber) -> None:
        now = self._clock()
        lagging_since = subscriber.lagging_since
        if now >= subscriber.ends_at and lagging_since is None:
            self._end(subscriber, "aged")
            return
        if (
            lagging_since is not None
            and now - lagging_since >= self._stall
            and not subscriber.vanished(now - lagging_since)
        ):
            self._end(subscriber, "stalled")
            logger.info("stream.dropped", lagging_for=round(now - lagging_since))
            return
        quiet_since = max(subscriber.quiet_since, subscriber.updated_at)
        if now - quiet_since >= self._keepalive:
            subscriber.keepalive()
            subscriber.quiet_since = quiet_since = now
            if lagging_since is None:
                subscriber.commented_at = now
                metrics.http_writes["keepalive"].inc()
        # One that is old enough but backed up is visited at every turn, until it has
        # been written or has stalled: nobody would give it up once it was forgotten.
        self._schedule(subscriber, quiet_since + self._keepalive)

    def _schedule(self, subscriber: Subscriber, when: float) -> None:
        subscriber.due = int(min(when, subscriber.ends_at) / self.tick) + 1
        self._slots.setdefault(subscriber.due, set()).add(subscriber)
