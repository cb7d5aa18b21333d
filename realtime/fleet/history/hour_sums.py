"""Adds up the hours of several processes."""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

from realtime.fleet.history.minutes import (
    KEPT,
    MAX_ENVIRONMENTS,
    EnvironmentHour,
    Hour,
    Minute,
)

MOST_ENVIRONMENTS: Final = 4000
"""Different ones, of all processes. Whoever may publish on NATS may make some up: they
must not fill the memory."""


class HourSums:
    """The sums over processes of the minutes with the numbers in `window`."""

    def __init__(self, window: range) -> None:
        self._window = window
        self.minutes: list[Minute | None] = [None] * len(window)
        """In the order of `window`; None: nobody knows."""
        self._environments: dict[str, EnvironmentHour] = {}
        # How many hours were not told whole, and how many of them tell of an
        # environment in each of their minutes.
        self._parts = 0
        self._told_in: dict[str, int] = {}

    def add(self, hour: Hour) -> None:
        """Count `hour` in."""
        places = []
        for minute in hour.minutes:
            known = minute.number in self._window
            place = minute.number - self._window.start if known else None
            places.append(place)
            if place is not None:
                total = self.minutes[place]
                if total is None:
                    total = self.minutes[place] = Minute(minute.number)
                total.add(minute)
        self._parts += not hour.whole
        for environment in hour.environments:
            self._add_environment(environment, places, hour.whole)

    def environments(self, count: int) -> Iterator[tuple[EnvironmentHour, bool]]:
        """The `count` environments with most subscribers over all minutes, those with
        most first, and whether that is the least there were: others may have had
        some."""
        most = heapq.nlargest(
            count,
            self._environments.values(),
            key=lambda one: sum(filter(None, one.subscribers)),
        )
        for one in most:
            yield one, self._told_in[one.id] < self._parts

    @property
    def whole(self) -> bool:
        """Whether all environments were told of."""
        return not self._parts

    def _add_environment(
        self, told: EnvironmentHour, places: list[int | None], whole: bool
    ) -> None:
        total = self._environments.get(told.id)
        if total is None:
            if len(self._environments) >= MOST_ENVIRONMENTS:
                self._parts += whole
                return
            total = EnvironmentHour(told.id, told.key, [None] * len(self._window))
            self._environments[told.id] = total
            self._told_in[told.id] = 0
        sums = total.subscribers
        for place, value in zip(places, told.subscribers, strict=False):
            if place is not None and value is not None:
                sums[place] = (sums[place] or 0) + value
        if not whole and None not in told.subscribers:
            self._told_in[told.id] += 1


def combine(hours: Iterable[Hour]) -> Hour:
    """The sums of `hours`, of which there must be one, within the bounds of an `Hour`:
    of the newest minutes, and of the environments with most subscribers."""
    hours = list(hours)
    last = max((m.number for hour in hours for m in hour.minutes), default=0)
    sums = HourSums(range(last - KEPT, last + 1))
    for hour in hours:
        sums.add(hour)
    known = [place for place, minute in enumerate(sums.minutes) if minute is not None]
    environments = [one for one, _ in sums.environments(MAX_ENVIRONMENTS + 1)]
    return Hour(
        since=min(hour.since for hour in hours),
        minutes=tuple(minute for minute in sums.minutes if minute is not None),
        environments=tuple(
            EnvironmentHour(
                one.id, one.key, [one.subscribers[place] or 0 for place in known]
            )
            for one in environments[:MAX_ENVIRONMENTS]
        ),
        whole=sums.whole and len(environments) <= MAX_ENVIRONMENTS,
    )
