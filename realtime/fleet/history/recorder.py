"""The last hour of this process, minute by minute, in memory. Nothing is counted for
it: once a minute it reads the metrics and asks the hub."""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from realtime.environments import without_probes
from realtime.fleet.history import minutes
from realtime.fleet.history.metric_totals import counted
from realtime.fleet.history.minutes import (
    BUSIEST,
    KEPT,
    MAX_ENVIRONMENTS,
    EnvironmentHour,
    Hour,
    Minute,
    Past,
    environment_id,
)
from realtime.fleet.key_shortening import shortened
from realtime.sse.hub import Hub

logger = structlog.get_logger("sse")

LOOKS: Final = 60
"""How often in a minute the clock is looked at: where it was set, or the machine slept,
that is known after a second."""

SHORTEST_WAIT: Final = 0.001
"""Seconds; a timer may fire a little before the minute is over."""


class _Environments(Struct, frozen=True):
    """The subscribers of a minute's busiest environments, by their keys, and whether
    there were others."""

    subscribers: dict[str, int]
    others: bool

    def of(self, key: str) -> int | None:
        return self.subscribers.get(key, None if self.others else 0)


class Recorder:
    """Records the minutes of the process whose streams are in `hub`.

    `secret` makes the environments' ids. `clock` tells Unix seconds, of which a minute
    has `seconds`. `past` is what workers that have ended left to this one.
    """

    def __init__(
        self,
        hub: Hub,
        secret: str,
        *,
        read: Callable[[], Minute] = counted,
        clock: Callable[[], float] = time.time,
        seconds: float | None = None,
    ) -> None:
        self._hub = hub
        self._secret = secret
        self._read = read
        self._clock = clock
        self.seconds = seconds or minutes.MINUTE_SECONDS
        self._past: Past | None = None
        self._since = clock()
        self._before = self._read()
        self._current = self._number()
        self._minutes: deque[Minute] = deque(maxlen=KEPT)
        self._environments: deque[_Environments] = deque(maxlen=KEPT)
        self._hour = Hour(self._since)

    @property
    def past(self) -> Past | None:
        """None: nobody has left anything, or it was longer ago than an hour."""
        known = self._past.hour.minutes if self._past is not None else ()
        newest = known[-1].number if known else -1
        return self._past if newest >= self._current - KEPT else None

    @past.setter
    def past(self, past: Past) -> None:
        self._past = past

    async def run(self) -> None:
        """Record for ever."""
        while True:
            # To the clock's own minute: what one look is late does not add up.
            rest = self.seconds - self._clock() % self.seconds
            await asyncio.sleep(max(min(rest, self.seconds / LOOKS), SHORTEST_WAIT))
            try:
                self.look()
            except Exception:
                # A history is no reason for a service to end.
                logger.exception("history.failed")

    def look(self) -> None:
        """See whether the minute is over.

        Where the clock was put forward, or the machine slept, the minutes between stay
        unknown. Where it was put back by minutes, what was recorded by the wrong time
        moves with it; by less, it soon catches up.
        """
        number = self._number()
        ahead = number - self._current
        if ahead > 0:
            self._close()
            self._current = number
        elif ahead < -1:
            self._move(ahead)

    def hour(self) -> Hour:
        """The minutes that are over."""
        self.look()
        return self._hour

    def state(self) -> Hour:
        """The same, and what was counted of this minute so far: for whoever remembers
        it when this process has ended. The streams that are open now are not in it:
        when the minute is over they will be elsewhere."""
        hour = self.hour()
        running = self._read().since(self._before, self._current)
        return replace(hour, minutes=(*hour.minutes, running))

    def _number(self) -> int:
        return max(0, int(self._clock() // self.seconds))

    def _close(self) -> None:
        now = self._read()
        minute = now.since(self._before, self._current)
        minute.subscribers = self._hub.subscribers
        self._minutes.append(minute)
        self._environments.append(
            _Environments(
                subscribers=dict(without_probes(self._hub.busiest(BUSIEST))),
                others=self._hub.environments > BUSIEST,
            )
        )
        self._before = now
        self._make_hour()

    def _make_hour(self) -> None:
        noted = self._environments
        most: dict[str, int] = {}
        for minute in noted:
            for key, subscribers in minute.subscribers.items():
                most[key] = max(subscribers, most.get(key, 0))
        self._hour = Hour(
            since=self._since,
            minutes=tuple(self._minutes),
            environments=tuple(
                EnvironmentHour(
                    environment_id(key, self._secret),
                    shortened(key),
                    [minute.of(key) for minute in noted],
                )
                for key in heapq.nlargest(MAX_ENVIRONMENTS, most, key=most.__getitem__)
            ),
            whole=len(most) <= MAX_ENVIRONMENTS and not any(m.others for m in noted),
        )

    def _move(self, by: int) -> None:
        for minute in self._minutes:
            minute.number = max(0, minute.number + by)
        self._current += by
        self._since = max(0.0, self._since + by * self.seconds)
        self._make_hour()
