"""What a load test found out, put together from all its processes."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

from realtime.loadtest.messages import Progress, Settled


@dataclass(slots=True)
class UpdateResult:
    """What became of one update; `latencies` are in seconds."""

    value: float
    expected: int = 0
    received: int = 0
    superseded: int = 0
    missing: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, settled: Settled) -> None:
        self.expected += settled.expected
        self.received += settled.received
        self.superseded += settled.superseded
        self.missing += settled.missing
        self.latencies.extend(settled.latencies)


@dataclass(slots=True, kw_only=True)
class Results:
    """`progress` is of all processes together; `cpu` (of the subscribers, while updates
    were published) and `seconds` (of that) are in seconds."""

    subscribers: int
    processes: int
    environments: int = 1
    progress: Progress = field(default_factory=Progress)
    published: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    updates: dict[float, UpdateResult] = field(default_factory=dict)
    cpu: float = 0
    seconds: float = 0
    interrupted: bool = False

    def add(self, settled: Settled) -> None:
        self.updates.setdefault(settled.value, UpdateResult(settled.value)).add(settled)

    @property
    def is_clean(self) -> bool:
        """Whether nobody was rejected or dropped, and no update failed or missed."""
        return not (
            self.progress.rejected
            or self.progress.dropped
            or self.failures
            or any(update.missing for update in self.updates.values())
        )


def together(parts: list[Progress]) -> Progress:
    """The sum of what each process says."""
    return Progress(
        waiting=sum(part.waiting for part in parts),
        connected=sum(part.connected for part in parts),
        rejected=sum(part.rejected for part in parts),
        dropped=sum(part.dropped for part in parts),
        received=sum(part.received for part in parts),
        duplicates=sum(part.duplicates for part in parts),
        reasons=sum((part.reasons for part in parts), Counter()),
    )
