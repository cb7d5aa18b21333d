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


class _Environment:
    __slots__ = ("forgotten_at", "updates")

    def __init__(self) -> None:
        self.updates: list[RecentUpdate] = []
        self.forgotten_at = float("-inf")
        """When the last update was read that was left out for want of room."""


class RecentUpdates:
    """The updates of the last hour, as far as there is room: the newest of each
    environment, and of those that were updated last. `clock` tells Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # In the order of their last updates.
        self._environments: OrderedDict[str, _Environment] = OrderedDict()
        self._count = 0
        self._forgotten_at = float("-inf")

    def __len__(self) -> int:
        return self._count

    def note(self, environment: str, latest: Latest) -> RecentUpdate:
        """`latest` was read just now."""
        updated_at = latest.update.updated_at[:LONGEST_TIME]
        update = RecentUpdate(updated_at, latest.identity, self._clock())
        known = self._environments.get(environment)
        if known is None:
            known = self._environments[environment] = _Environment()
        else:
            self._environments.move_to_end(environment)
        known.updates.append(update)
        self._count += 1
        if len(known.updates) > MOST_OF_ONE:
            known.forgotten_at = self._forget_first(known)
        elif self._count > MOST:
            self._forget_oldest()
        return update

    def of(self, environment: str) -> tuple[list[RecentUpdate], bool]:
        """The updates of the last hour, the newest first, and whether there may have
        been more."""
        since = self._clock() - REMEMBERED_SECONDS
        known = self._environments.get(environment, _Environment())
        cut = max(self._forgotten_at, known.forgotten_at) >= since
        return [one for one in reversed(known.updates) if one.read_at >= since], cut

    def _forget_first(self, known: _Environment) -> float:
        self._count -= 1
        return known.updates.pop(0).read_at

    def _forget_oldest(self) -> None:
        """Make room, where there has been no update for the longest time."""
        environment, known = next(iter(self._environments.items()))
        read_at = self._forget_first(known)
        self._forgotten_at = max(self._forgotten_at, read_at)
        if not known.updates:
            del self._environments[environment]
