"""The numbers of updates as they are sent: each environment has its own, so that one
that reaches a subscriber of another environment is known for what it is."""

from typing import Final
from zlib import crc32

APART: Final = 1_000_000
"""More than there are updates of an environment in a run."""

BEYOND: Final = 2**63


def updated_at(environment: str, number: int) -> int:
    """What is published as the update `number`, counted from 1, of `environment`."""
    return crc32(environment.encode()) * APART + number


def number_of(environment: str, updated_at: int) -> int:
    """The other way round: beyond all that were published if it is not of this
    environment."""
    return (updated_at - crc32(environment.encode()) * APART) % BEYOND
