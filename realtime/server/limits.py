"""The process's limits: open files, of which every subscriber is one, and
processors."""

import math
import os
import resource
from pathlib import Path
from typing import Final

CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""A container's CPU limit, as control groups (version 2) have it."""


def raise_file_limit() -> int:
    """Raise the soft limit to the hard one, and return it."""
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
