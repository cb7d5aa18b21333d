"""Who is subscribed to what: subscribe, broadcast, end.

All of it runs on one event loop and no method that changes anything awaits, so that
subscribing needs no lock and leaves no gap between the latest update and the next.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from operator import itemgetter
from typing import Final

import structlog

from realtime import metrics
from realtime.sse.broadcaster import Broadcaster, OnWritten
from realtime.sse.environment_subscribers import EnvironmentSubscribers
from realtime.sse.frames import Frame
from realtime.sse.keepalive import KeepAliveWheel
from realtime.sse.latest import Latest, LatestUpdates
from realtime.sse.recent_updates import RecentUpdates
from realtime.sse.subscriber import Subscriber

logger = structlog.get_logger("sse")

LAST_CHANCE_SECONDS: Final = 1.0
"""For a client that is backed up to read the end of its stream."""

END_RATE: Final = 100
"""Streams ended a second when draining takes less than the time it may take."""

_BROKEN: Final = ("error", "stalled")
"""Reasons to end for which something that was written did not arrive."""


def _call_soon(callback: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(callback)


class Hub:
    """The open streams, and the latest update of each environment.

    `keepalive`, `max_stream_age` and `stall` are as in `KeepAliveWheel`. `clock` is the
    event loop's time, `call_soon` has the event loop call something in its next turn.
    """

    def __init__(
        self,
        *,
        keepalive: float,
        max_stream_age: float,
        clock: Callable[[], float],
        stall: float = 60,
        call_soon: Callable[[Callable[[], None]], object] = _call_soon,
    ) -> None:
        self.latest = LatestUpdates()
        self.recent = RecentUpdates()
        self._clock = clock
        # The subscribers are in the order of their connections, which is the order in
        # memory, of the kernel's sockets too: a set's order costs 6 % more of a
        # broadcast's CPU.
        self._environments: dict[str, dict[Subscriber, None]] = {}
        self._broadcaster = Broadcaster(self._give_up, call_soon)
        self._wheel = KeepAliveWheel(
            keepalive=keepalive,
            max_stream_age=max_stream_age,
            stall=stall,
            clock=clock,
            end=self.end,
            give_up=self._give_up,
        )
        self._count = 0
        self._by_client = dict.fromkeys(metrics.CLIENTS, 0)

    @property
    def subscribers(self) -> int:
        """How many streams are open."""
        return self._count

    @property
    def by_client(self) -> dict[str, int]:
        """How many streams are open to each kind of client that there is now."""
        return {kind: count for kind, count in self._by_client.items() if count}

    @property
    def environments(self) -> int:
        """How many environments have a subscriber."""
        return len(self._environments)

    def busiest(self, count: int) -> list[tuple[str, int]]:
        """The `count` environments with most subscribers, and how many they have."""
        counts = ((key, len(those)) for key, those in self._environments.items())
        return heapq.nlargest(count, counts, key=itemgetter(1))

    def count_of(self, environment: str) -> int:
        """How many streams of `environment` are open."""
        return len(self._environments.get(environment, ()))

    def subscribers_of(self, environment: str) -> EnvironmentSubscribers:
        """The subscribers of `environment`: how many, of what kind, since when."""
        subscribers = self._environments.get(environment, {})
        return EnvironmentSubscribers.of(subscribers, self._clock())

    def subscribe(self, environment: str, subscriber: Subscriber) -> Frame | None:
        """Register `subscriber`, and return the latest update if there is one.

        The caller writes it before it awaits anything: register-then-replay on one
        event loop has no gap.
        """
        now = self._clock()
        subscriber.environment = environment
        subscriber.subscribed_at = now
        self._environments.setdefault(environment, {})[subscriber] = None
        self._wheel.add(subscriber, now)
        self._note_counts(subscriber, 1)
        metrics.subscribers_total.inc()
        latest = self.latest.of(environment)
        if latest is None or latest.expires_at <= now:
            subscriber.commented_at = now
            return None
        subscriber.latest = latest
        metrics.http_writes["data"].inc()
        return latest.frame

    def unsubscribe(self, subscriber: Subscriber, reason: str) -> None:
        """Forget `subscriber`, and its environment if it was the last one there. Does
        nothing the second time. `reason` is one of `metrics.disconnects`."""
        environment = subscriber.environment
        if environment is None:
            return
        subscriber.environment = None
        subscribers = self._environments[environment]
        del subscribers[subscriber]
        if not subscribers:
            del self._environments[environment]
        self._wheel.remove(subscriber)
        self._note_counts(subscriber, -1)
        metrics.disconnects[reason].inc()
        if reason in _BROKEN:
            updated = subscriber.updated_at > subscriber.commented_at
            metrics.http_errors["data" if updated else "keepalive"].inc()

    def _note_counts(self, subscriber: Subscriber, change: int) -> None:
        """One stream more or less."""
        kind = subscriber.client
        self._count += change
        self._by_client[kind] += change
        metrics.subscribers_by_client[kind].set(self._by_client[kind])
        metrics.subscribers.set(self._count)
        metrics.environments.set(len(self._environments))

    def broadcast(self, environment: str, latest: Latest) -> list[OnWritten] | None:
        """Keep an update as the latest of `environment`, and write it to every
        subscriber soon (`Broadcaster`); returns the list to add to, now, what is to be
        called when it has been written to all. None: it is written to nobody.

        One that is the latest already is not written again, nor is one from before it:
        a replica of the store that was cut off may tell the past once more, also as
        news: it says that it is up to date, and catches up with the others then.
        """
        if not self.latest.keep(environment, latest):
            return None
        subscribers = self._environments.get(environment)
        if subscribers is None:
            recent = self.recent.note(environment, latest)
            recent.written_at = recent.read_at
            return None
        latest.broadcast_at = self._clock()
        on_written = self._broadcaster.offer(environment, subscribers, latest)
        # Afterwards: a few subscribers have been written to by now.
        on_written.append(self.recent.note(environment, latest).written)
        return on_written

    def end(self, subscriber: Subscriber, reason: str) -> None:
        """End one stream: nothing is written to it after its last chunk. Does nothing
        the second time. `reason` is one of `metrics.disconnects`; one that has stalled
        is not waited for."""
        if subscriber.environment is None:
            return
        self.unsubscribe(subscriber, reason)
        try:
            if reason == "stalled":
                subscriber.abort()
            else:
                subscriber.end()
        except Exception as error:
            self._give_up(subscriber, error)

    def _give_up(self, subscriber: Subscriber, error: Exception) -> None:
        """One of its verbs raised, which none is to. No other stream may suffer."""
        logger.error("stream.failed", exc_info=error)
        self.unsubscribe(subscriber, "error")
        with suppress(Exception):
            subscriber.abort()

    async def end_all(self, seconds: float) -> None:
        """End every stream, evenly spread over at most `seconds`, so that the clients
        do not all reconnect at once."""
        streams = self._streams()
        seconds = min(seconds, len(streams) / END_RATE)
        start = self._clock()
        for number, subscriber in enumerate(streams):
            wait = start + seconds * number / len(streams) - self._clock()
            if wait > 0 and subscriber.environment is not None:
                await asyncio.sleep(wait)
            self.end(subscriber, "drained")
        if backed_up := [s for s in streams if s.lagging_since is not None]:
            await asyncio.sleep(LAST_CHANCE_SECONDS)
            for subscriber in backed_up:
                if subscriber.lagging_since is not None:
                    subscriber.abort()

    def end_all_now(self) -> None:
        """End every stream at once."""
        for subscriber in self._streams():
            self.end(subscriber, "drained")

    def _streams(self) -> list[Subscriber]:
        return [s for those in self._environments.values() for s in those]

    async def keep_alive(self) -> None:
        """Do for ever what the time asks for."""
        while True:
            await asyncio.sleep(self._wheel.tick)
            try:
                await self.turn()
            except Exception:
                # Whatever it was, the other streams need their keep-alives.
                logger.exception("keepalive.failed")

    async def turn(self) -> None:
        """Keep streams alive, end those that are old enough or have stalled, and drop
        updates that the store has dropped."""
        self.latest.expire(self._clock())
        await self._wheel.turn()
