"""What anybody can cause is told now and then, not each time."""

import time


class RateLimit:
    """Lets each cause be told once in so many `seconds`. The causes are kept: they must
    be few, and none may be made up by a client."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._told_at: dict[object, float] = {}
        self._untold: dict[object, int] = {}

    def count(self, cause: object) -> int:
        """Count one more of `cause`. Returns 0 if it is not to be told now, and
        otherwise how many there have been since it was told last."""
        now = time.monotonic()
        times = self._untold.get(cause, 0) + 1
        if now - self._told_at.get(cause, float("-inf")) < self._seconds:
            self._untold[cause] = times
            return 0
        self._told_at[cause] = now
        self._untold[cause] = 0
        return times
