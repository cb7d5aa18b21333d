"""The seam between the hub and whatever writes bytes to a client."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from realtime.updates import Frame

if TYPE_CHECKING:
    from realtime.sse.hub import Latest


class Subscriber(ABC):
    """One client's open stream, as the hub sees it.

    None of the verbs blocks or raises. A subscriber whose connection is backed up keeps
    only its newest frame and writes that as soon as it can: JetStream itself keeps only
    an environment's newest update.
    """

    __slots__ = (
        *("client", "commented_at", "due", "ends_at", "environment"),
        *("lagging_since", "quiet_since", "subscribed_at", "told"),
    )

    def __init__(self) -> None:
        # The hub's own book-keeping; see there.
        self.environment: str | None = None
        self.client = "other"
        """What kind of client it is, one of `metrics.CLIENTS`; set before it
        subscribes."""
        self.subscribed_at = 0.0
        self.quiet_since = 0.0
        self.commented_at = 0.0
        """When the last comment was sent; what was sent later is an update."""
        self.told: Latest | None = None
        """The update that it was told last."""
        self.ends_at = 0.0
        self.due = 0
        self.lagging_since: float | None = None
        """Since when the connection is backed up (event loop's time); None: it is not.
        Set by the subscriber itself."""

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
