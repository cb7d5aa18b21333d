"""This process: its place among the workers of one instance, and its limit of open
files."""

import os
import resource
from typing import Final

WORKER: Final = "REALTIME_WORKER"
"""The environment variable that tells a worker its number: which of the places that
`serve --workers N` fills it is for. Who replaces it has the same."""

RESERVED_FILES: Final = 256
"""Open files kept for publishers, probes, NATS and the log, or a quarter of what there
is."""


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
