"""What a load test is to do, and whether this machine can do it."""

import os
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from realtime.exceptions import RealtimeError
from realtime.http.url import HttpUrl

RESERVED_FILES: Final = 64
"""Open files a process keeps for itself: pipes, epoll, Python's own."""


class LoadTestFailed(RealtimeError):
    """The load test cannot run, or not go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTestOptions:
    """`streams` and `queue_changes` are of one environment after the other; the
    subscribers are spread over them, and the updates go to each in turn. `ramp` is in
    connections a second; `interval` (between updates), `duration` (of the publishing,
    after the ramp) and `grace` (for a delivery) are in seconds."""

    streams: tuple[HttpUrl, ...]
    queue_changes: tuple[HttpUrl, ...]
    token: str = field(repr=False)
    subscribers: int
    processes: int
    ramp: float
    interval: float
    duration: float
    grace: float

    def shares(self) -> list[range]:
        """The numbers of the subscribers that each process has; they differ in length
        by one at most."""
        bounds = [
            self.subscribers * number // self.processes
            for number in range(self.processes + 1)
        ]
        return [range(start, end) for start, end in pairwise(bounds)]


def processes_for(subscribers: int, wanted: int | None, file_limit: int) -> int:
    """How many processes to run: `wanted`, or if that is None one for each processor,
    and more where `file_limit` (open files a process may have; negative: any number)
    asks for it.

    Raises `LoadTestFailed` if `wanted` are too few.
    """
    room = file_limit - RESERVED_FILES if file_limit >= 0 else subscribers
    if room < 1:
        raise LoadTestFailed(f"A limit of {file_limit} open files is too low")
    needed = -(-subscribers // room)
    if wanted is None:
        wanted = max(needed, len(os.sched_getaffinity(0)))
    elif wanted < needed:
        raise LoadTestFailed(
            f"{subscribers} subscribers do not fit into {wanted} process"
            f"{'es' if wanted > 1 else ''} of at most {file_limit} open files: "
            f"use --processes {needed} or raise the limit (ulimit -n)"
        )
    return min(wanted, subscribers)
