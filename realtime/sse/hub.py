"""Who is subscribed to what, and the latest update of each environment.

Plain asyncio: it knows nothing of NATS, Django or HTTP. All of it runs on one event
loop and no method that changes anything awaits, so that subscribing needs no lock and
leaves no gap between the latest update and the next.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter

import structlog

from realtime import metrics
from realtime.backoff import jittered
from realtime.sse.broadcaster import Broadcaster, OnTold
from realtime.sse.environment_subscribers import Crowd, look_at
from realtime.sse.recent_updates import Activity
from realtime.sse.subscriber import Subscriber
from realtime.updates import Frame, Update

logger = structlog.get_logger("sse")

TICKS_PER_KEEPALIVE = 60
"""The wheel's resolution: a keep-alive is at most this part of the interval late."""

MIN_TICK = 0.05
"""Seconds; for intervals so short that the wheel would turn without pause."""

BURST = 256
"""How many subscribers the wheel visits before it lets the event loop do other work:
after a broadcast to everyone, everyone's keep-alive falls due at once."""

LAST_CHANCE = 1.0
"""Seconds that a client which is backed up gets to read the end of its stream."""

_BROKEN = ("error", "stalled")
"""Reasons to end for which something that was written did not arrive."""

END_RATE = 100
"""Streams ended a second when draining takes less than the time it may take."""


def _call_soon(callback: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(callback)


class Latest:
    """An environment's latest update.

    `identity` (its sequence in the store and its time) tells this stored update from
    any other, so that one which is read again is not sent again. `stream` tells a
    stream from one of the same name that was made anew and counts from 1. `expires_at`
    is when the store drops it (event loop's time).
    """

    __slots__ = ("_frame", "expires_at", "identity", "stream", "update")

    def __init__(
        self,
        update: Update,
        identity: tuple[int, int],
        expires_at: float,
        stream: str = "",
    ) -> None:
        self.update = update
        self.identity = identity
        self.expires_at = expires_at
        self.stream = stream
        self._frame: Frame | None = None

    def follows(self, other: "Latest") -> bool:
        """Whether this one was stored after `other`."""
        # In one stream a later message has a higher number, or, if the end of the
        # stream was lost with its server's machine or is that of an older copy, a later
        # time. A copy's server may have a clock that is behind: then what was published
        # tells.
        sequence, nanoseconds = other.identity
        return self.identity != other.identity and (
            self.identity[0] > sequence
            or self.identity[1] > nanoseconds
            or self.stream != other.stream
            or self.update.seconds > other.update.seconds
        )

    @property
    def frame(self) -> Frame:
        """The encoded event: made for the first subscriber that gets it."""
        if self._frame is None:
            self._frame = self.update.frame()
        return self._frame


@dataclass(slots=True)
class _Environment:
    # In the order of their connections, which is the order in memory, of the kernel's
    # sockets too: a set's order costs 6 % more of a broadcast's CPU.
    subscribers: dict[Subscriber, None] = field(default_factory=dict)
    last_broadcast: float = 0.0


class Hub:
    """Subscribe, broadcast, keep alive, end.

    `keepalive` is how long a stream may be quiet, `max_stream_age` how long it may last
    (0: no limit; jittered, so that streams opened together do not end together), and
    `stall` how long a connection may be backed up before it is given up, unless its
    peer has vanished; all in seconds. `clock` is the event loop's time, `call_soon` has
    the event loop call something in its next turn.
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
        self._broadcaster = Broadcaster(self._give_up, call_soon)
        self.activity = Activity()
        """The updates of the last hour."""
        self._keepalive = keepalive
        self._stall = stall
        self._max_stream_age = max_stream_age
        self._clock = clock
        self._environments: dict[str, _Environment] = {}
        # In the order of their expiry, because a new update goes to the end.
        self._latest: dict[str, Latest] = {}
        self._tick = max(keepalive / TICKS_PER_KEEPALIVE, MIN_TICK)
        self._wheel: dict[int, set[Subscriber]] = {}
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
        return heapq.nlargest(
            count,
            ((e, len(entry.subscribers)) for e, entry in self._environments.items()),
            key=itemgetter(1),
        )

    def count_of(self, environment: str) -> int:
        """How many streams of `environment` are open."""
        entry = self._environments.get(environment)
        return len(entry.subscribers) if entry else 0

    def crowd_of(self, environment: str) -> Crowd:
        """The subscribers of `environment`: how many, of what kind, since when."""
        entry = self._environments.get(environment)
        return look_at(entry.subscribers if entry else {}, self._clock())

    def latest_of(self, environment: str) -> Latest | None:
        """The latest update of `environment`, if there is one."""
        return self._latest.get(environment)

    def latest(
        self, count: int, unless: Callable[[str], bool] = lambda _: False
    ) -> list[tuple[str, Latest]]:
        """The `count` newest updates, the newest first, and their environments, of
        those that are not `unless`."""
        newest = reversed(self._latest.items())
        return list(islice((one for one in newest if not unless(one[0])), count))

    def subscribe(self, environment: str, subscriber: Subscriber) -> Frame | None:
        """Register `subscriber`, and return the latest update if there is one.

        The caller writes it before it awaits anything: register-then-replay on one
        event loop has no gap.
        """
        now = self._clock()
        subscriber.environment = environment
        subscriber.subscribed_at = subscriber.quiet_since = now
        subscriber.ends_at = (
            now + jittered(self._max_stream_age)
            if self._max_stream_age
            else float("inf")
        )
        entry = self._environments.get(environment)
        if entry is None:
            entry = self._environments[environment] = _Environment()
        entry.subscribers[subscriber] = None
        self._note_counts(subscriber, 1)
        metrics.subscribers_total.inc()
        self._schedule(subscriber, now + self._keepalive)
        latest = self._latest.get(environment)
        if latest is None or latest.expires_at <= now:
            subscriber.commented_at = now
            return None
        subscriber.told = latest
        subscriber.commented_at = float("-inf")
        metrics.http_writes["data"].inc()
        return latest.frame

    def unsubscribe(self, subscriber: Subscriber, reason: str) -> None:
        """Forget `subscriber`, and its environment if it was the last one there. Does
        nothing the second time. `reason` is one of `metrics.disconnects`."""
        environment = subscriber.environment
        if environment is None:
            return
        subscriber.environment = None
        entry = self._environments[environment]
        entry.subscribers.pop(subscriber, None)
        if not entry.subscribers:
            del self._environments[environment]
        slot = self._wheel.get(subscriber.due)
        if slot is not None:
            slot.discard(subscriber)
        self._note_counts(subscriber, -1)
        metrics.disconnects[reason].inc()
        if reason in _BROKEN:
            updated = entry.last_broadcast > subscriber.commented_at
            last = "data" if updated else "keepalive"
            metrics.http_errors[last].inc()

    def _note_counts(self, subscriber: Subscriber, change: int) -> None:
        """One stream more or less."""
        kind = subscriber.client
        self._count += change
        self._by_client[kind] += change
        metrics.subscribers_by_client[kind].set(self._by_client[kind])
        metrics.subscribers.set(self._count)
        metrics.environments.set(len(self._environments))

    def broadcast(self, environment: str, latest: Latest) -> list[OnTold] | None:
        """Keep an update as the latest of `environment`, and tell every subscriber soon
        (`Broadcaster`); returns the list to add to, now, what is to be called when all
        have been told. None: nobody is to be told.

        One that is the latest already is not told again, nor is one from before it: a
        replica of the store that was cut off may tell the past once more, also as news:
        it says that it is up to date, and catches up with the others then.
        """
        known = self._latest.get(environment)
        if known is not None and not latest.follows(known):
            return None
        self._latest.pop(environment, None)
        self._latest[environment] = latest
        seen = self.activity.note(environment, latest)
        entry = self._environments.get(environment)
        if entry is None:
            seen.written_at = seen.read_at
            return None
        entry.last_broadcast = self._clock()
        on_told = self._broadcaster.offer(environment, entry.subscribers, latest)
        on_told.append(seen.told)
        return on_told

    def forget(self, gone: Callable[[str, Latest], bool]) -> None:
        """Drop every environment's latest update that is `gone`."""
        for environment in [e for e, latest in self._latest.items() if gone(e, latest)]:
            del self._latest[environment]

    def reschedule_expiry(self, expires_at: Callable[[Latest], float]) -> None:
        """The store keeps what it has for another time than it did."""
        for latest in self._latest.values():
            latest.expires_at = expires_at(latest)

    def end(self, subscriber: Subscriber, reason: str) -> None:
        """End one stream: nothing is written to it after its last chunk. Does nothing
        the second time. `reason` is one of `metrics.disconnects`."""
        if subscriber.environment is not None:
            self.unsubscribe(subscriber, reason)
            try:
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
            await asyncio.sleep(LAST_CHANCE)
            for subscriber in backed_up:
                if subscriber.lagging_since is not None:
                    subscriber.abort()

    def end_all_now(self) -> None:
        """End every stream at once."""
        for subscriber in self._streams():
            self.end(subscriber, "drained")

    def _streams(self) -> list[Subscriber]:
        return [s for e in self._environments.values() for s in e.subscribers]

    async def keep_alive(self) -> None:
        """Turn the wheel for ever: keep-alives, streams that are old enough, and
        updates that the store has dropped."""
        while True:
            await asyncio.sleep(self._tick)
            try:
                await self.turn()
            except Exception:
                # Whatever it was, the other streams need their keep-alives.
                logger.exception("keepalive.failed")

    async def turn(self) -> None:
        """Visit every subscriber that has fallen due by now."""
        self._expire(self._clock())
        reached = int(self._clock() / self._tick)
        for slot in [s for s in self._wheel if s <= reached]:
            for visited, subscriber in enumerate(self._wheel.pop(slot), start=1):
                if subscriber.environment is not None:
                    try:
                        self._visit(subscriber, subscriber.environment)
                    except Exception as error:
                        self._give_up(subscriber, error)
                if visited % BURST == 0:
                    await asyncio.sleep(0)

    def _visit(self, subscriber: Subscriber, environment: str) -> None:
        now = self._clock()
        lagging_since = subscriber.lagging_since
        if now >= subscriber.ends_at and lagging_since is None:
            self.end(subscriber, "aged")
            return
        if (
            lagging_since is not None
            and now - lagging_since >= self._stall
            and not subscriber.vanished(now - lagging_since)
        ):
            self.unsubscribe(subscriber, "stalled")
            subscriber.abort()
            logger.info("stream.dropped", lagging_for=round(now - lagging_since))
            return
        # A broadcast notes the time once for the environment, not for everyone in it.
        quiet_since = max(
            subscriber.quiet_since, self._environments[environment].last_broadcast
        )
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
        subscriber.due = int(min(when, subscriber.ends_at) / self._tick) + 1
        self._wheel.setdefault(subscriber.due, set()).add(subscriber)

    def _expire(self, now: float) -> None:
        while self._latest:
            environment, latest = next(iter(self._latest.items()))
            if latest.expires_at > now:
                return
            del self._latest[environment]
