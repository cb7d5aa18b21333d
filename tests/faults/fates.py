"""What became of an update, as far as the answers to its tries tell."""

from collections.abc import Sequence
from typing import Final, Literal

from tests.faults.entries import Death, Incident, Published
from tests.support.task_processor import Answer

PROMPT: Final = 2.0
"""What was answered so long before a fault has no excuse in it."""

Fate = Literal["stored", "held", "died", "nobody", "untold"]
"""It was said to be stored; a process that lives has it; all that had it were killed
with `kill -9` and had it in memory only; its tries reached no process, because those
that they went to were dead; its task had no turn for it, though somebody was there."""

OWED: Final = ("stored", "held")
"""The fates of what every subscriber must be told."""


def fate(update: Published, incidents: Sequence[Incident]) -> Fate:
    if update.stored_at is not None:
        return "stored"
    if not update.tries and update.blocked is not None:
        return "untold" if _reached(update.blocked, incidents) else "nobody"
    takers = [answer for answer in update.tries if _reached(answer, incidents)]
    if not takers:
        return "nobody"
    killed = [_was_killed(answer, incidents) for answer in takers]
    return "died" if all(killed) else "held"


def death_at(answer: Answer, incidents: Sequence[Incident]) -> Death | None:
    """That of a process at the address that was asked, while it was."""
    for incident in incidents:
        for death in incident.deaths:
            if (
                death.url == answer.url
                and death.since <= answer.answered
                and answer.sent <= death.until
            ):
                return death
    return None


def _reached(answer: Answer, incidents: Sequence[Incident]) -> bool:
    """Whether a process may have what was asked: not if no answer came at a time at
    which one was dead."""
    return bool(answer.status) or death_at(answer, incidents) is None


def _was_killed(answer: Answer, incidents: Sequence[Incident]) -> bool:
    """Whether whoever was asked was killed before the fault in which it was asked was
    over."""
    return any(
        death.memory and death.url == answer.url and answer.sent <= death.since
        for incident in incidents
        if incident.begun - PROMPT <= answer.sent <= incident.over
        for death in incident.deaths
    )
