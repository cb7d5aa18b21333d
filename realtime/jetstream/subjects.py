"""The NATS subjects of updates: one for each environment, in one stream."""

from functools import lru_cache
from typing import Final

from realtime.environments import MAX_KEY_LENGTH, is_environment_key

STREAM: Final = "environments-stream"
SUBJECT_PREFIX: Final = "flagsmith.environment."
ALL_SUBJECTS: Final = SUBJECT_PREFIX + ">"

REMEMBERED: Final = 4096
"""Subjects whose environments are kept; more are looked at again, at a microsecond
each."""

_LONGEST: Final = len(SUBJECT_PREFIX) + MAX_KEY_LENGTH


def subject_of(environment: str) -> str:
    """The subject on which updates of `environment` (a valid key) are stored."""
    return SUBJECT_PREFIX + environment


def environment_of(subject: bytes) -> str | None:
    """The environment whose updates are stored on `subject`; None if it is of none."""
    # A longer one is not kept either, whatever its length.
    return _environment_of(subject) if len(subject) <= _LONGEST else None


@lru_cache(REMEMBERED)
def _environment_of(subject: bytes) -> str | None:
    # NATS takes any bytes for a subject.
    prefix, _, key = subject.decode(errors="replace").partition(SUBJECT_PREFIX)
    return key if not prefix and is_environment_key(key) else None
