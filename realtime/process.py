"""This process: its place among the workers of one instance, its limit of open files,
and the processors it may keep busy."""

import math
import os
import resource
from pathlib import Path
from typing import Final

WORKER: Final = "REALTIME_WORKER"
"""The environment variable that tells a worker its number: which of the places that
`serve --workers N` fills it is for. Who replaces it has the same."""

RESERVED_FILES: Final = 256
"""Open files kept for publishers, probes, NATS and the log, or a quarter of what there
is."""

CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""A container's CPU limit, as control groups (version 2) have it."""


def worker_number() -> int | None:
    """The number among the workers of one supervisor; None if there is none."""
    number = os.environ.get(WORKER)
    return int(number) if number else None


def file_limit(reserve: float = 1) -> int:
    """How many clients the process's limit of open files leaves room for, if `reserve`
    of what is kept for others is left to them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1_000_000
    return max(1, soft - int(reserve * min(RESERVED_FILES, soft // 4)))


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def processors(cpu_quota: Path = CPU_QUOTA) -> int:
    """How many processors the process may keep busy: those that it may run on, and no
    more than its CPU limit."""
    usable = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_quota.read_text().split()
        return min(usable, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return usable  # there is none: no such file, or "max"
