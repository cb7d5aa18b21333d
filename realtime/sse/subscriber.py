"""The seam between the hub and whatever writes bytes to a client."""

from abc import ABC, abstractmethod

from realtime.sse.frames import Frame
from realtime.sse.latest import Latest


class Subscriber(ABC):
    """One client's open stream, as the hub sees it.

    None of the verbs blocks or raises. A subscriber whose connection is backed up keeps
    only its newest frame and writes that as soon as it can: JetStream itself keeps only
    an environment's newest update. Times are the event loop's.
    """

    __slots__ = (
        "client",
        "commented_at",
        "due",
        "ends_at",
        "environment",
        "lagging_since",
        "latest",
        "quiet_since",
        "subscribed_at",
    )

    def __init__(self) -> None:
        self.environment: str | None = None
        """None: it has not subscribed yet, or its stream has ended."""
        self.client = "other"
        """What kind of client it is, one of `metrics.CLIENTS`; set before it
        subscribes."""
        self.subscribed_at = 0.0
        self.latest: Latest | None = None
        """The update that it was sent last."""
        self.commented_at = float("-inf")
        """When the last comment was sent; what was sent later is an update."""
        self.quiet_since = 0.0
        """When it subscribed, or the last comment was due."""
        self.ends_at = float("inf")
        self.due = 0
        """Its slot in the wheel of keep-alives."""
        self.lagging_since: float | None = None
        """Since when the connection is backed up; None: it is not. Set by the
        subscriber itself."""

    @property
    def updated_at(self) -> float:
        """When the update was broadcast that it was sent last."""
        return self.latest.broadcast_at if self.latest is not None else float("-inf")

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Send an update, in place of any that waits."""

    @abstractmethod
    def keepalive(self) -> None:
        """Send a comment, unless something else waits to be sent."""

    def vanished(self, seconds: float) -> bool:
        """Whether the peer has confirmed nothing for so many seconds. Then it may come
        back, and the kernel decides when it is given up; it never will for one that is
        there and does not read. False where it cannot be told."""
        return False

    @abstractmethod
    def end(self) -> None:
        """Send what waits, then end the response properly."""

    @abstractmethod
    def abort(self) -> None:
        """Give the connection up, with whatever waits: close it, or where that is not
        possible end the response as soon as it can be written."""
