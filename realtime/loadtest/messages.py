"""What the processes of a load test tell each other, through pipes. Times are Unix
seconds; an update is named by its `updated_at`."""

from array import array
from collections import Counter
from dataclasses import dataclass, field, fields
from enum import Enum


class Order(Enum):
    """To the subscribers."""

    BEGIN = "the ramp is over, the updates begin"
    FINISH = "open no more, report what is still due, and end"


@dataclass(frozen=True, slots=True)
class Announce:
    """To the subscribers: `value` was published for the environment of that number,
    and counts as missing wherever it has not arrived at `due`."""

    value: float
    due: float
    environment: int


@dataclass(frozen=True, slots=True)
class Progress:
    """From a process of subscribers, several times a second; or the sum of all.

    `waiting` were opened, or are still to be, and have no answer yet; `connected` is
    how many ever got a stream, `dropped` how many of those it was taken from, `reasons`
    why others were rejected. `cpu` is the processor time since `Begin`, in seconds.
    `finished` counts the processes of which this is the last message.
    """

    waiting: int = 0
    connected: int = 0
    rejected: int = 0
    dropped: int = 0
    received: int = 0
    duplicates: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    cpu: float = 0
    finished: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        names = [one.name for one in fields(self)]
        return Progress(*(getattr(self, n) + getattr(other, n) for n in names))


@dataclass(slots=True)
class UpdateResult:
    """What became of an update, in one process of subscribers or in all.

    `expected` subscribers were connected when it was published: those that `received`
    it, those that got a later one instead (`superseded`), and those that got neither in
    time (`missing`). `latencies` are in seconds, one of each that received it.
    """

    value: float
    expected: int
    received: int
    superseded: int
    missing: int
    latencies: "array[float]"

    def add(self, other: "UpdateResult") -> None:
        """Add what became of the same update in another process."""
        self.expected += other.expected
        self.received += other.received
        self.superseded += other.superseded
        self.missing += other.missing
        self.latencies += other.latencies
