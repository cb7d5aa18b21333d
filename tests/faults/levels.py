"""What the services hold when all is quiet: it must be the same after the faults as it
was before."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from tests.faults.instances import Instance
from tests.support.waiting import eventually

ASKED_AT_MOST = 400
"""Connections made to meet each worker at least once."""

STREAM_TASK = "run_asgi"
"""uvicorn's name for the task of a request; what is in flight is counted elsewhere."""

MEMORY_GROWTH = 1.25
MEMORY_MARGIN_KB = 16_000
"""What Python's allocator and the caches may keep."""

SETTLE_SECONDS = 15

HELD: Final = (
    "subscribers",
    "subscriber_objects",
    "on_the_wheel",
    "environments",
    "held",
    "kept",
)
"""What the introspection tells of streams and of updates that wait to be stored."""


@dataclass(frozen=True)
class Levels:
    """Of one instance, all its processes together. `held` is each of `HELD`, `tasks`
    are those of the background work, by name."""

    held: dict[str, int]
    tasks: Counter[str]
    descriptors: int
    memory: int

    def excess(self, before: "Levels") -> list[str]:
        """What is more, or fewer, than it was `before`."""
        found = []
        found += [
            f"{count} {name}, were {before.held[name]}"
            for name, count in self.held.items()
            if count != before.held[name]
        ]
        if more := self.tasks - before.tasks:
            found.append(f"more tasks: {dict(more)}")
        if self.descriptors > before.descriptors:
            found.append(f"{self.descriptors} files open, were {before.descriptors}")
        if self.memory > before.memory * MEMORY_GROWTH + MEMORY_MARGIN_KB:
            found.append(f"{self.memory} kB of memory, were {before.memory}")
        return found


def introspect(instance: Instance) -> dict[int, dict[str, Any]]:
    """What is in each of its processes."""
    by_pid: dict[int, dict[str, Any]] = {}
    pids = set(instance.pids())
    for _ in range(ASKED_AT_MOST):
        found = instance.service.introspect()
        by_pid[found["pid"]] = found
        if set(by_pid) >= pids:
            break
    else:
        raise AssertionError(f"{pids - set(by_pid)} of {instance.server} answer not")
    return by_pid


def measure(instance: Instance) -> Levels:
    by_pid = introspect(instance)
    tasks: Counter[str] = Counter()
    for found in by_pid.values():
        tasks.update(found["tasks"])
    return Levels(
        held={name: sum(found[name] for found in by_pid.values()) for name in HELD},
        tasks=Counter(
            {task: n for task, n in tasks.items() if STREAM_TASK not in task}
        ),
        descriptors=instance.descriptors(),
        memory=instance.memory(),
    )


def settle(instance: Instance, before: Levels) -> list[str]:
    """What is still more than `before` after a while of quiet."""
    excess: list[str] = []

    def settled() -> bool:
        excess[:] = measure(instance).excess(before)
        return not excess

    try:
        eventually(settled, seconds=SETTLE_SECONDS)
    except AssertionError:
        return [f"{instance.server}: {what}" for what in excess]
    return []
