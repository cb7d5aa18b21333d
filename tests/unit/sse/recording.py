"""Subscribers that keep what they get, and a clock that is set by hand."""

from collections.abc import Callable

from realtime.sse.frames import KEEPALIVE, Frame, update_frame
from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from realtime.sse.subscriber import Subscriber
from realtime.updates import Update

ONE, TWO = Update("1"), Update("2")
FIRST, SECOND = update_frame(ONE), update_frame(TWO)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recorder(Subscriber):
    """A subscriber that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.ended = False
        self.aborted = False
        self.away = False

    def vanished(self, seconds: float) -> bool:
        return self.away

    def write(self, frame: Frame) -> None:
        self.frames.append(frame)

    def keepalive(self) -> None:
        self.frames.append(KEEPALIVE)

    def end(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True


class Broken(Recorder):
    """A subscriber whose verbs raise, which they are not to."""

    def write(self, frame: Frame) -> None:
        raise RuntimeError("a bug")

    def keepalive(self) -> None:
        raise RuntimeError("a bug")

    def end(self) -> None:
        raise RuntimeError("a bug")


turns: list[Callable[[], None]] = []
"""What is to be called in the event loop's next turn."""


def broadcast(hub: Hub, environment: str, latest: Latest) -> int:
    """Broadcast, and let the event loop turn until everybody has been told; how many
    that were."""
    counts = [0]
    on_told = hub.broadcast(environment, latest)
    if on_told is not None:
        on_told.append(counts.append)
    while turns:
        turns.pop(0)()
    return counts[-1]


def latest(update: Update, identity: int = 1, expires_at: float = 9999) -> Latest:
    return Latest(update, (identity, 0), expires_at)
