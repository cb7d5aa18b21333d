"""The numbers of updates as they are sent: dates, as Flagsmith sends them. The seconds
count the updates, and the microseconds are those of the environment, so that one that
reaches a subscriber of another environment is known for what it is."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

MICROSECONDS: Final = 1_000_000

FIRST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Long ago: a date in the future would be taken for a mistake."""

BEYOND: Final = 2**63


def updated_at(environment: str, number: int) -> str:
    """What is published as the update `number`, counted from 1, of `environment`."""
    return (
        FIRST + timedelta(seconds=number, microseconds=_mark(environment))
    ).isoformat()


def number_of(environment: str, seconds: float) -> int:
    """The other way round, from Unix seconds: beyond all that were published if it is
    not of this environment."""
    since = round((seconds - FIRST.timestamp()) * MICROSECONDS)
    number, other = divmod(since - _mark(environment), MICROSECONDS)
    return BEYOND if other else number


def _mark(environment: str) -> int:
    return crc32(environment.encode()) % MICROSECONDS
