"""When something happened lately, and how often: at a bounded cost."""

from collections import deque
from collections.abc import Callable
from typing import Final

from realtime.fleet.publishes.messages import SLOTS

SLOT_SECONDS: Final = 10.0
RECENT_SECONDS: Final = SLOTS * SLOT_SECONDS
"""Five minutes: a ring that is full holds no less."""


class RecentTimes:
    """A ring of the last few slots in which it happened at all.

    `clock` counts seconds from anywhere, and never backwards: a computer's date may be
    corrected at any time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # When it happened last in each slot, and how often.
        self._slots: deque[tuple[float, int]] = deque(maxlen=SLOTS)
        self._until = float("-inf")

    def note(self) -> None:
        """It happens now. Some 0.2 µs."""
        now, count = self._clock(), 0
        if now >= self._until:
            self._until = now + SLOT_SECONDS
        else:
            _, count = self._slots.pop()
        self._slots.append((now, count + 1))

    @property
    def latest(self) -> float | None:
        """When it happened last, by the clock; None: never."""
        return self._slots[-1][0] if self._slots else None

    def recent(self) -> int:
        """How often it happened in the last five minutes."""
        return sum(count for _, count in self.within(RECENT_SECONDS))

    def within(self, seconds: float) -> list[tuple[float, int]]:
        """When it happened (the last moment of each slot), and how often, in the last
        so many `seconds`, as far as the ring reaches."""
        now = self._clock()
        return [(at, count) for at, count in self._slots if now - at <= seconds]
