"""Environment keys as they are shown: told from others, and yet not given away."""

import re
from typing import Final

from realtime.environments import SUBJECT_PREFIX

LONGEST: Final = 13
"""Characters of a shortened key."""

_SUBJECT: Final = re.compile(
    re.escape(SUBJECT_PREFIX) + r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)"
)


def shortened(key: str) -> str:
    return key if len(key) <= 12 else f"{key[:6]}…{key[-4:]}"


def is_shortened(text: str) -> bool:
    """Whether `text` may stand for a longer key."""
    return len(text) <= LONGEST and "…" in text


def without_whole_keys(text: str) -> str:
    """`text`, an error's for example, in which NATS may name an update's subject, with
    shortened keys."""
    return _SUBJECT.sub(lambda found: SUBJECT_PREFIX + shortened(found[1]), text)
