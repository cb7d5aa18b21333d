"""Whether updates that Flagsmith publishes are taken, and the likely cause if not."""

from collections.abc import Iterable
from typing import Final

from realtime.fleet.publishes.fleet_publishes import FleetPublishes, FleetRefusal
from realtime.fleet.publishes.recent_times import RECENT_SECONDS
from realtime.fleet.units import ago, duration
from realtime.fleet.verdict.finding import Finding

LEAST: Final = 3
"""Refused publishes in a row: the task processor sends each update three times."""

LEAST_SECONDS: Final = 60.0
"""From the first of them to the newest: longer than one update's three tries, and than
a restart of NATS."""

UNAUTHORISED: Final = 401
UNAVAILABLE: Final = 503

_NOTHING_TOLD: Final = "No application is told of flag changes meanwhile."
_TOLD_LATE: Final = (
    "Applications are told of these flag changes when NATS takes updates again, as far "
    "as the instances could keep them."
)
_CAUSES: Final[dict[int, str]] = {
    400: "What is sent is no update: Flagsmith may be of a version that sends "
    "something else, or a proxy changes the requests.",
    404: "Flagsmith's SSE_SERVER_BASE_URL is probably wrong, or a proxy changes the "
    "path.",
    408: "The bodies do not arrive: a proxy may hold them back.",
    413: "What is sent is no update: Flagsmith's SSE_SERVER_BASE_URL may be used by "
    "something else.",
    415: "What is sent is not declared as JSON: Flagsmith may be of another version, "
    "or a proxy changes the requests.",
}
_ANOTHER: Final = (
    "Flagsmith's task processor probably has another SSE_AUTHENTICATION_TOKEN."
)
_WITHOUT: Final = (
    "They bring no token: a proxy may take the Authorization header away, or Flagsmith "
    "has no SSE_AUTHENTICATION_TOKEN."
)
_RUNBOOK: Final[dict[int, str]] = {
    UNAUTHORISED: "flagsmithssepublishunauthorised",
    UNAVAILABLE: "flagsmithssepublishfailing",
}


def publish_findings(publishes: FleetPublishes | None, at: float) -> Iterable[Finding]:
    """Why all publishes of the last minute or more were refused, where it is `at` (Unix
    seconds): a finding for each status. Nothing while instances of an older version
    answer: they may have accepted some."""
    if publishes is None or not publishes.complete:
        return
    for refusal in publishes.refusals:
        since = refusal.in_a_row_since
        if (
            not refusal.publisher
            or since is None
            or refusal.in_a_row < LEAST
            or refusal.newest_at - since < LEAST_SECONDS
        ):
            continue
        age = at - refusal.newest_at
        if refusal.status == UNAVAILABLE and age > RECENT_SECONDS:
            # Unlike a wrong token, an outage ends without anybody's doing.
            continue
        yield Finding(
            _reason(refusal, since, publishes.accepted_at, at),
            _TOLD_LATE if refusal.status == UNAVAILABLE else _NOTHING_TOLD,
            since,
            _RUNBOOK.get(refusal.status, "publishes-are-refused"),
        )


def from_addresses(refusal: FleetRefusal) -> str:
    """`from 10.0.3.17 and 10.0.3.18`; empty if no address is known."""
    *first, last = [*refusal.addresses, *(["others"] if refusal.others else [])] or [""]
    joined = f"{', '.join(first)} and {last}" if first else last
    return joined and f"from {joined}"


def _reason(
    refusal: FleetRefusal, since: float, accepted_at: float | None, at: float
) -> str:
    addresses = from_addresses(refusal)
    if len(refusal.addresses) == 1 and not refusal.others:
        addresses = f"all {addresses}"
    accepted = (
        "none has been accepted since the instances started"
        if accepted_at is None
        else f"the latest that was accepted was {ago(at - accepted_at)}"
    )
    return (
        f"{refusal.in_a_row:,} publishes were refused with {refusal.status} in the "
        f"last {duration(at - since)}{addresses and f', {addresses}'}; {accepted}. "
        f"{_cause(refusal)}"
    )


def _cause(refusal: FleetRefusal) -> str:
    if refusal.status == UNAUTHORISED:
        return _WITHOUT if "not provided" in refusal.reason else _ANOTHER
    cause = _CAUSES.get(refusal.status, "")
    return f"{cause} The newest was told: {refusal.reason}".strip()
