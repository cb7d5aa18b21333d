"""The latest update of each environment, which whoever subscribes is sent first."""

from collections.abc import Callable
from itertools import islice

from realtime.sse.frames import Frame, update_frame
from realtime.updates import Update


class Latest:
    """An environment's latest update.

    `identity` (its sequence in the store and its time) tells this stored update from
    any other, so that one which is read again is not sent again. `stream` tells a
    stream from one of the same name that was made anew and counts from 1. `expires_at`
    is when the store drops it, and `broadcast_at` when it was broadcast (event loop's
    time).
    """

    __slots__ = (
        "_frame",
        "broadcast_at",
        "expires_at",
        "identity",
        "stream",
        "update",
    )

    def __init__(
        self,
        update: Update,
        identity: tuple[int, int],
        expires_at: float,
        stream: str = "",
    ) -> None:
        self.update = update
        self.identity = identity
        self.expires_at = expires_at
        self.broadcast_at = 0.0
        self.stream = stream
        self._frame: Frame | None = None

    def follows(self, other: "Latest") -> bool:
        """Whether this one was stored after `other`."""
        # In one stream a later message has a higher number, or, if the end of the
        # stream was lost with its server's machine or is that of an older copy, a later
        # time. A copy's server may have a clock that is behind: then what was published
        # tells.
        sequence, nanoseconds = other.identity
        return self.identity != other.identity and (
            self.identity[0] > sequence
            or self.identity[1] > nanoseconds
            or self.stream != other.stream
            or self.update.seconds > other.update.seconds
        )

    @property
    def frame(self) -> Frame:
        """The encoded event: made for the first subscriber that gets it."""
        if self._frame is None:
            self._frame = update_frame(self.update)
        return self._frame


class LatestUpdates:
    """The latest update of each environment, until the store drops it."""

    def __init__(self) -> None:
        # In the order of their expiry, because a new update goes to the end.
        self._latest: dict[str, Latest] = {}

    def of(self, environment: str) -> Latest | None:
        """The latest update of `environment`, if there is one."""
        return self._latest.get(environment)

    def newest(
        self, count: int, unless: Callable[[str], bool] = lambda _: False
    ) -> list[tuple[str, Latest]]:
        """The `count` newest updates, the newest first, and their environments, of
        those that are not `unless`."""
        newest = reversed(self._latest.items())
        return list(islice((one for one in newest if not unless(one[0])), count))

    def keep(self, environment: str, latest: Latest) -> bool:
        """Keep an update as the latest of `environment`, unless it is the latest
        already or from before it; returns whether it was kept."""
        known = self._latest.get(environment)
        if known is not None:
            if not latest.follows(known):
                return False
            del self._latest[environment]
        self._latest[environment] = latest
        return True

    def forget(self, gone: Callable[[str, Latest], bool]) -> None:
        """Drop every environment's latest update that is `gone`."""
        for environment in [e for e, latest in self._latest.items() if gone(e, latest)]:
            del self._latest[environment]

    def reschedule_expiry(self, expires_at: Callable[[Latest], float]) -> None:
        """The store keeps what it has for another time than it did."""
        for latest in self._latest.values():
            latest.expires_at = expires_at(latest)

    def expire(self, now: float) -> None:
        """Drop what the store has dropped by `now` (event loop's time)."""
        while self._latest:
            environment, latest = next(iter(self._latest.items()))
            if latest.expires_at > now:
                return
            del self._latest[environment]
