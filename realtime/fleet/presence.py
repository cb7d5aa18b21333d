"""Who is alive: the instances that were heard of in the last minute."""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from msgspec.structs import replace

from realtime.fleet.messages import Sighting

REMEMBER_SECONDS: Final = 60.0
"""For how long an instance that is not heard of any more is missed."""

BEACON_SECONDS: Final = 2.0
"""How often each instance lets itself be heard of."""

OVERDUE_SECONDS: Final = 1.5 * BEACON_SECONDS

MAX_INSTANCES: Final = 1000
"""Whoever may publish on NATS may make instances up: they must not fill the memory."""


class Presence:
    """The last sighting of each instance. `clock` counts seconds from anywhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In the order of being seen.
        self._last: dict[str, tuple[float, Sighting]] = {}

    def note(self, sighting: Sighting) -> bool:
        """Remember what was seen just now; whether it is an instance that is there and
        was not known to be."""
        now, was_alive = self._clock(), False
        if known := self._last.pop(sighting.instance, None):
            seen_at, before = known
            was_alive = not _is_overdue(now - seen_at, before)
            if sighting.address is None:
                # A report does not tell it: what the beacon told is still true.
                sighting = replace(sighting, address=before.address)
        elif len(self._last) >= MAX_INSTANCES:
            del self._last[next(iter(self._last))]
        self._last[sighting.instance] = now, sighting
        return not (was_alive or sighting.left)

    def seen(self) -> list[Sighting]:
        """The instances seen in the last minute, each with how long ago that was."""
        now = self._clock()
        self._last = {
            instance: (seen_at, sighting)
            for instance, (seen_at, sighting) in self._last.items()
            if now - seen_at <= REMEMBER_SECONDS
        }
        return [
            replace(sighting, ago=now - seen_at)
            for seen_at, sighting in self._last.values()
        ]

    def alive(self) -> int:
        """How many have not left and are not overdue."""
        return len(self.seen()) - len(self.overdue())

    def overdue(self) -> list[Sighting]:
        """Those that have left or were not heard of for too long."""
        return [s for s in self.seen() if _is_overdue(s.ago, s)]


def _is_overdue(ago: float, sighting: Sighting) -> bool:
    return sighting.left or ago >= OVERDUE_SECONDS


def missing_from(
    answered: Iterable[Sighting],
    presence: Presence,
    asked_ago: float,
    *,
    overdue: Iterable[Sighting] = (),
    excused: Collection[str] = (),
) -> list[Sighting]:
    """Who was seen in the last minute and is not among those that have `answered` what
    was asked so many seconds ago, but for the `excused` (by their names in NATS).
    Others have said that they are `overdue`."""
    present = set(excused)
    for sighting in answered:
        presence.note(sighting)
        present.add(sighting.instance)
    # Who was heard of since may have started after the question.
    seen = [one for one in presence.seen() if one.ago >= asked_ago]
    return not_present([*seen, *overdue], present)


def not_present(
    sightings: Iterable[Sighting], present: Collection[str]
) -> list[Sighting]:
    """The latest sighting of each instance that is not `present`, by its name in
    NATS; of those that were seen last, if they are very many."""
    latest: dict[str, Sighting] = {}
    for one in sightings:
        known = latest.get(one.instance)
        if one.instance not in present and (known is None or one.ago < known.ago):
            latest[one.instance] = one
    newest = sorted(latest.values(), key=lambda one: one.ago)[:MAX_INSTANCES]
    return sorted(newest, key=lambda one: (one.host, one.pid))
