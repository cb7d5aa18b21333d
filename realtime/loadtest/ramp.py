"""When each subscriber of a process connects."""

from typing import Final

MOST_AT_ONCE: Final = 100
"""Connections opened between two looks at what has come."""


class Ramp:
    """The numbers in `share`, `rate` a second; `left` are those not yet due. Times are
    in seconds."""

    def __init__(self, share: range, rate: float, now: float) -> None:
        self.left = share
        self._first = share.start
        self._rate = rate
        self._start = now

    def due(self, now: float) -> range:
        """Those whose turn it is; each is returned once."""
        until = self._first + int((now - self._start) * self._rate) + 1
        until = min(until, self.left.start + MOST_AT_ONCE, self.left.stop)
        due, self.left = range(self.left.start, until), range(until, self.left.stop)
        return due

    def stop(self) -> None:
        """Nobody else is due."""
        self.left = range(0)
