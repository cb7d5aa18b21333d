"""This process's place among others."""

import os
from typing import Final

WORKER: Final = "REALTIME_WORKER"
"""The environment variable that tells a worker its number: which of the places that
`serve --workers N` fills it is for. Who replaces it has the same."""


def worker_number() -> int | None:
    """The number among the workers of one supervisor; None if there is none."""
    number = os.environ.get(WORKER)
    return int(number) if number else None
