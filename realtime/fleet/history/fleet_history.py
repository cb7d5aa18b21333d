"""The last hour of the whole fleet, minute by minute: the sums of what its instances
tell."""

import asyncio
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

from msgspec import Struct

from realtime.fleet.history.hour_sums import HourSums
from realtime.fleet.history.minutes import (
    MINUTE_SECONDS,
    MINUTES,
    PUBLISHES,
    History,
    Minute,
    Past,
)
from realtime.fleet.quantiles import quantile
from realtime.metrics import LATENCY_BOUNDS

SHOWN: Final = 10
"""Environments."""

SETTLED: Final = 1 / 30
"""The part of a minute after which its predecessor is shown: by then the instances have
told of it whose clocks are up to two seconds behind."""

Series = tuple[int | None, ...]
"""A value for each minute, the oldest first; None: nobody knows."""


class BusyHour(Struct, frozen=True):
    """An environment (id, shortened key) and its subscribers at each minute's end;
    `at_least`: it may have had more, on an instance with environments that it does not
    tell of."""

    id: str
    environment: str
    subscribers: Series
    at_least: bool


class FleetHistory(Struct, frozen=True, kw_only=True):
    """Sums over the instances in each of the last 60 whole minutes, which have
    `seconds` each; the last one ended at `until` (Unix seconds).

    `complete`: all instances have told. They all know of what was `since` (Unix
    seconds; None: nobody has told); what was before is the sum of some.

    `publishes` has a series for each of `PUBLISHES`, `delivery_p99` is in seconds and
    None, too, where nothing was delivered. The `busiest` environments are those with
    most subscribers over the hour, the first one the busiest.
    """

    until: float
    seconds: float
    complete: bool
    since: float | None
    subscribers: Series
    opened: Series
    closed: Series
    deliveries: Series
    rejections: Series
    publishes: dict[str, Series]
    delivery_p99: tuple[float | None, ...]
    busiest: tuple[BusyHour, ...]

    @property
    def deliveries_per_minute(self) -> int | None:
        """In the last whole minute; None: it is not known."""
        return self.deliveries[-1]

    @property
    def rejections_per_minute(self) -> int | None:
        """In the last whole minute; None: it is not known."""
        return self.rejections[-1]

    @property
    def subscribers_before(self) -> tuple[int, float] | None:
        """How many there were at the end of the first minute that all instances know,
        and how many seconds ago that is: an hour, or less if one is younger. None: it
        is not known."""
        for ago, subscribers in zip(
            range(MINUTES - 1, 0, -1), self.subscribers, strict=False
        ):
            end = self.until - ago * self.seconds
            if subscribers is not None and self.since is not None and end > self.since:
                return subscribers, ago * self.seconds
        return None

    @property
    def subscribers_change(self) -> int | None:
        """By how many there are more now than `subscribers_before`, or fewer."""
        now, before = self.subscribers[-1], self.subscribers_before
        return None if now is None or before is None else now - before[0]


async def merge(
    histories: Iterable[History],
    now: float,
    *,
    complete: bool,
    seconds: float = MINUTE_SECONDS,
) -> FleetHistory:
    """The sums of `histories` in the hour before `now` (Unix seconds), where a minute
    has `seconds`. Lets the event loop do other work in between."""
    end = int((now - SETTLED * seconds) // seconds)
    sums = HourSums(range(end - MINUTES, end))
    since: float | None = None
    own, pasts = _each_once(histories)
    for history in own:
        sums.add(history.hour)
        since = max(since or 0, _known_since(history))
        await asyncio.sleep(0)
    for past in pasts:
        sums.add(past.hour)
        await asyncio.sleep(0)
    return FleetHistory(
        until=end * seconds,
        seconds=seconds,
        complete=complete,
        since=since,
        subscribers=_series(sums, attrgetter("subscribers")),
        opened=_series(sums, attrgetter("opened")),
        closed=_series(sums, attrgetter("closed")),
        deliveries=_series(sums, attrgetter("deliveries")),
        rejections=_series(sums, attrgetter("rejections")),
        publishes={
            kind: _series(sums, lambda minute, place=place: _at(minute, place))  # type: ignore[misc]
            for place, kind in enumerate(PUBLISHES)
        },
        delivery_p99=tuple(map(_p99, sums.minutes)),
        busiest=tuple(
            BusyHour(one.id, one.key, _filled(sums, one.subscribers), at_least)
            for one, at_least in sums.environments(SHOWN)
        ),
    )


def _each_once(
    histories: Iterable[History],
) -> tuple[list[History], Iterable[Past]]:
    """Of an instance that tells twice, the last answer; what workers have left behind,
    once, however many tell it; and nothing besides of one who has left it behind."""
    told = {history.instance: history for history in histories}
    pasts: dict[str, Past] = {}
    for history in told.values():
        if past := history.past:
            known = pasts.setdefault(past.supervisor, past)
            if past.version > known.version:
                pasts[past.supervisor] = past
    ended = {instance for past in pasts.values() for instance in past.of}
    own = [history for history in told.values() if history.instance not in ended]
    return own, pasts.values()


def _known_since(history: History) -> float:
    since = history.hour.since
    # It has taken over from somebody, or stands beside who has.
    return min(since, history.past.hour.since) if history.past else since


def _series(sums: HourSums, value: Callable[[Minute], int]) -> Series:
    return tuple(None if minute is None else value(minute) for minute in sums.minutes)


def _at(minute: Minute, place: int) -> int:
    return minute.publishes[place] if place < len(minute.publishes) else 0


def _p99(minute: Minute | None) -> float | None:
    if minute is None:
        return None
    counted, buckets = 0, []
    bounds = (*LATENCY_BOUNDS, float("inf"))
    for bound, count in zip(bounds, minute.latencies, strict=False):
        counted += count
        buckets.append((bound, float(counted)))
    return quantile(buckets, 0.99 * counted) if counted else None


def _filled(sums: HourSums, subscribers: list[int | None]) -> Series:
    """`subscribers`, with 0 in a minute in which everybody tells of others only."""
    return tuple(
        0 if subscribers is None and minute is not None and sums.whole else subscribers
        for minute, subscribers in zip(sums.minutes, subscribers, strict=True)
    )
