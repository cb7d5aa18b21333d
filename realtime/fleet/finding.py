"""One thing that is not as it should be."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """`reason` is a whole sentence; `consequence` says what applications notice,
    `since` when it began (Unix seconds, None: not known), and `runbook` is an anchor in
    docs/operations.md."""

    reason: str
    consequence: str = ""
    since: float | None = None
    runbook: str = ""
