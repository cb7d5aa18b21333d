"""What the processes of a load test tell each other, through pipes. Times are Unix
seconds; an update is named by its `updated_at`."""

from array import array
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Begin:
    """To the subscribers: the ramp is over, the updates begin."""


@dataclass(frozen=True, slots=True)
class Announce:
    """To the subscribers: `value` was published for the environment of that number,
    and counts as missing wherever it has not arrived at `due`."""

    value: float
    due: float
    environment: int


@dataclass(frozen=True, slots=True)
class Finish:
    """To the subscribers: open no more, report what is still due, and end."""


@dataclass(frozen=True, slots=True)
class Progress:
    """From a process of subscribers, several times a second.

    `waiting` were opened, or are still to be, and have no answer yet; `connected` is
    how many ever got a stream, `dropped` how many of those it was taken from, `reasons`
    why others were rejected.
    """

    waiting: int = 0
    connected: int = 0
    rejected: int = 0
    dropped: int = 0
    received: int = 0
    duplicates: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Settled:
    """From a process of subscribers: what became of an update there.

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


@dataclass(frozen=True, slots=True)
class Finished:
    """The last message from a process of subscribers. `cpu` is the processor time, in
    seconds, that it has used since `Begin`."""

    progress: Progress
    cpu: float
