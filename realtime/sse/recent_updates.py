"""What this process has read of each environment lately, and when it was written."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from realtime.sse.latest import Latest

REMEMBERED_SECONDS: Final = 3600.0
"""As long as JetStream keeps an update, unless it is told otherwise."""

MOST_OF_ONE: Final = 20
"""Updates of one environment: a flag that changes more often in an hour is a load
test."""

MOST: Final = 10_000
"""Updates of all environments together, at some half a kilobyte each."""

LONGEST_TIME: Final = 64
"""Characters of an update's time, which is some 17 long and could be 4,096."""


class RecentUpdate(Struct):
    """An update that was read. Times are Unix seconds by this process's clock.

    `written_at` is when it, or a later one, had been written to all `subscribers`;
    None: that is still being done. `identity` is its sequence in the store, and when it
    was stored (nanoseconds).
    """

    updated_at: str
    identity: tuple[int, int]
    read_at: float
    written_at: float | None = None
    subscribers: int = 0

    def written(self, subscribers: int) -> None:
        """It has been written to all subscribers of its environment, so many."""
        self.subscribers = subscribers
        self.written_at = time.time()


class RecentUpdates:
    """The updates of the last hour, as far as there is room: the newest of each
    environment, and of those that were updated last. `clock` tells Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # In the order of their last updates.
        self._environments: OrderedDict[str, list[RecentUpdate]] = OrderedDict()
        self._count = 0
        self._forgotten_at = float("-inf")
        """When the last update was read that was left out for want of room: of an
        environment that had not its most."""

    def __len__(self) -> int:
        return self._count

    def note(self, environment: str, latest: Latest) -> RecentUpdate:
        """`latest` was read just now."""
        updated_at = latest.update.updated_at[:LONGEST_TIME]
        update = RecentUpdate(updated_at, latest.identity, self._clock())
        updates = self._environments.setdefault(environment, [])
        self._environments.move_to_end(environment)
        if len(updates) == MOST_OF_ONE:
            updates.pop(0)
        else:
            self._count += 1
        updates.append(update)
        if self._count > MOST:
            self._forget_oldest()
        return update

    def of(self, environment: str) -> tuple[list[RecentUpdate], bool]:
        """The updates of the last hour, the newest first, and whether there may have
        been more."""
        since = self._clock() - REMEMBERED_SECONDS
        updates = self._environments.get(environment, ())
        recent = [one for one in reversed(updates) if one.read_at >= since]
        return recent, len(recent) == MOST_OF_ONE or self._forgotten_at >= since

    def _forget_oldest(self) -> None:
        """Make room, where there has been no update for the longest time."""
        environment, updates = next(iter(self._environments.items()))
        self._count -= 1
        self._forgotten_at = max(self._forgotten_at, updates.pop(0).read_at)
        if not updates:
            del self._environments[environment]
