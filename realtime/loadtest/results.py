"""What a load test found out, put together from all its processes."""

from collections import Counter
from dataclasses import dataclass, field

from realtime.loadtest.messages import Progress, UpdateResult


@dataclass(slots=True, kw_only=True)
class Results:
    """`progress` is of all processes together; `seconds` is for how long updates were
    published, `failures` why some were not."""

    subscribers: int
    processes: int
    environments: int = 1
    progress: Progress = field(default_factory=Progress)
    published: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    updates: dict[float, UpdateResult] = field(default_factory=dict)
    seconds: float = 0
    interrupted: bool = False

    def add(self, result: UpdateResult) -> None:
        """What one process tells of an update."""
        if known := self.updates.get(result.value):
            known.add(result)
        else:
            self.updates[result.value] = result

    @property
    def is_clean(self) -> bool:
        """Whether nobody was rejected or dropped, and no update failed or missed."""
        return not (
            self.progress.rejected
            or self.progress.dropped
            or self.failures
            or any(update.missing for update in self.updates.values())
        )
