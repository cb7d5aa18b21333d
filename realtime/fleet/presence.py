"""Who is alive: the instances that were heard of in the last minute."""

import time
from collections.abc import Callable, Container, Iterable
from typing import Final

import msgspec

from realtime.fleet.messages import Sighting

REMEMBER_SECONDS: Final = 60.0
"""For how long an instance that is not heard of any more is missed."""

BEACON_SECONDS: Final = 2.0
"""How often each instance lets itself be heard of."""

OVERDUE_SECONDS: Final = 1.5 * BEACON_SECONDS

MAX_INSTANCES: Final = 1000
"""Whoever may publish on NATS may make instances up: they must not fill the memory."""


class Roll:
    """The last sighting of each instance. `clock` counts seconds from anywhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In the order of being seen.
        self._last: dict[str, tuple[float, Sighting]] = {}

    def note(self, sighting: Sighting) -> bool:
        """Remember what was seen just now; whether it is an instance that is there and
        was not known to be."""
        known = self._last.pop(sighting.instance, None)
        was_alive = known is not None and not _overdue(
            self._clock() - known[0], known[1]
        )
        if known is not None and sighting.address is None:
            # A report does not tell it: what the beacon told is still true.
            _, before = known
            sighting = msgspec.structs.replace(sighting, address=before.address)
        if known is None and len(self._last) >= MAX_INSTANCES:
            del self._last[next(iter(self._last))]
        self._last[sighting.instance] = self._clock(), sighting
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
            msgspec.structs.replace(sighting, ago=now - seen_at)
            for seen_at, sighting in self._last.values()
        ]

    def alive(self) -> int:
        """How many have not left and are not overdue."""
        return len(self.seen()) - len(self.overdue())

    def overdue(self) -> list[Sighting]:
        """Those that have left or were not heard of for too long."""
        return [s for s in self.seen() if _overdue(s.ago, s)]


def _overdue(ago: float, sighting: Sighting) -> bool:
    return sighting.left or ago >= OVERDUE_SECONDS


def not_present(
    sightings: Iterable[Sighting], present: Container[str]
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
