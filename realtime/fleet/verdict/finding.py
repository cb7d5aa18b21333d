"""What a verdict rests on."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """Something that is not as it should be: the `reason` and the `consequence` (what
    applications notice) are whole sentences. `since` is Unix seconds, None where it is
    not known, and `runbook` an anchor of docs/operations.md."""

    reason: str
    consequence: str = ""
    since: float | None = None
    runbook: str = ""
