"""Garbage collection for a process that holds very many long-lived objects."""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 100)
"""A stream is some sixty objects that live for hours. Python's own thresholds go over
the youngest of them at every tenth stream, and over all of them again and again while
they grow: at 12,000 streams that was a third of the CPU of accepting them."""


def tune() -> None:
    """Take what was imported out of the collector's sight, and let it look less often.

    To be called when everything is imported and before the first connection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
