"""What this process has read of each environment lately, and when it told whom."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from realtime.sse.hub import Latest

REMEMBERED_SECONDS: Final = 3600.0
"""As long as JetStream keeps an update, unless it is told otherwise."""

MOST_OF_ONE: Final = 20
"""Updates of one environment: a flag that changes more often in an hour is a load
test."""

MOST: Final = 10_000
"""Updates of all environments together, at some half a kilobyte each."""

LONGEST_TIME: Final = 64
"""Characters of an update's time, which is some 17 long and could be 4,096."""


class Seen(Struct):
    """An update that was read. Times are Unix seconds by this process's clock.

    `written_at` is when all `subscribers` had been told of it, or of a later one; None:
    they are still being told. `identity` is its sequence in the store, and when it was
    stored (nanoseconds).
    """

    updated_at: str
    identity: tuple[int, int]
    read_at: float
    written_at: float | None = None
    subscribers: int = 0

    def told(self, subscribers: int) -> None:
        """All subscribers of its environment, so many, have been told."""
        self.subscribers = subscribers
        self.written_at = time.time()


class _Environment:
    __slots__ = ("forgotten_at", "seen")

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.forgotten_at = float("-inf")
        """When the last update was read that was left out for want of room."""


class Activity:
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

    def note(self, environment: str, latest: "Latest") -> Seen:
        """`latest` was read just now."""
        updated_at = latest.update.updated_at[:LONGEST_TIME]
        seen = Seen(updated_at, latest.identity, self._clock())
        known = self._environments.get(environment)
        if known is None:
            known = self._environments[environment] = _Environment()
        else:
            self._environments.move_to_end(environment)
        known.seen.append(seen)
        self._count += 1
        if len(known.seen) > MOST_OF_ONE:
            known.forgotten_at = self._forget_first(known)
        elif self._count > MOST:
            self._forget_oldest()
        return seen

    def of(self, environment: str) -> tuple[list[Seen], bool]:
        """The updates of the last hour, the newest first, and whether there may have
        been more."""
        since = self._clock() - REMEMBERED_SECONDS
        known = self._environments.get(environment)
        seen = known.seen if known else []
        forgotten_at = max(
            self._forgotten_at, known.forgotten_at if known else float("-inf")
        )
        return [s for s in reversed(seen) if s.read_at >= since], forgotten_at >= since

    def _forget_first(self, known: _Environment) -> float:
        self._count -= 1
        return known.seen.pop(0).read_at

    def _forget_oldest(self) -> None:
        """Make room, where there has been no update for the longest time."""
        environment, known = next(iter(self._environments.items()))
        read_at = self._forget_first(known)
        self._forgotten_at = max(self._forgotten_at, read_at)
        if not known.seen:
            del self._environments[environment]
