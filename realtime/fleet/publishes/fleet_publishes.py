"""What became of the requests to publish, over all instances."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from realtime.fleet.messages import InstanceReport
from realtime.fleet.publishes.messages import (
    CAUSES,
    SOURCES,
    RefusalReport,
    Slot,
    Source,
)
from realtime.fleet.publishes.recent_times import RECENT_SECONDS, SLOT_SECONDS

MOST_PARTS: Final = 2000
"""Causes of refusals that are looked at, of all instances: whoever may publish on NATS
may make instances up, and no update is to wait for them."""


class FleetRefusal(Struct, frozen=True, kw_only=True):
    """Publishes that were refused with `status`: `count` in the last five minutes, the
    newest at `newest_at` (Unix seconds) for `reason`, from at most three `addresses`,
    and `others` or none.

    `publisher` says whether they looked as if a publisher had sent them. `in_a_row` of
    them, the first at `in_a_row_since`, have come since the latest that was accepted,
    whichever instance accepted that.
    """

    status: int
    reason: str
    publisher: bool
    count: int
    newest_at: float
    addresses: tuple[str, ...]
    others: bool
    in_a_row: int
    in_a_row_since: float | None


class FleetPublishes(Struct, frozen=True, kw_only=True):
    """When the latest publish was accepted (Unix seconds; None: none since the
    instances started), how many were answered with which status in the last five
    minutes, and what was refused in the last hour, the newest first.

    `complete` says whether all instances that answer tell of it: those of an older
    version do not.
    """

    accepted_at: float | None
    statuses: dict[int, int]
    refusals: tuple[FleetRefusal, ...]
    complete: bool


def fleet_publishes(
    instances: Sequence[InstanceReport], at: float
) -> FleetPublishes | None:
    """What `instances` tell together, where it is `at` (Unix seconds); None if none of
    them tells anything. Times are brought to this clock, and none lies ahead of it."""
    telling = [(one, one.publishes) for one in instances if one.publishes]
    if not telling:
        return None
    accepted: list[float] = []
    statuses: Counter[int] = Counter()
    told: list[tuple[InstanceReport, RefusalReport]] = []
    for one, report in telling:
        if report.accepted_at is not None:
            accepted.append(one.moment(report.accepted_at, at))
        for answered in report.statuses:
            statuses[answered.status] += answered.count
        told += [(one, refusal) for refusal in report.refusals if refusal.slots]
    parts: defaultdict[tuple[int, bool], list[RefusalReport]] = defaultdict(list)
    for one, refusal in told[:MOST_PARTS]:
        key = refusal.status, refusal.publisher
        parts[key].append(_by_our_clock(one, refusal, at))
    accepted_at = max(accepted, default=None)
    merged = [_merged(group, accepted_at, at) for group in parts.values()]
    merged.sort(key=lambda refusal: refusal.newest_at, reverse=True)
    return FleetPublishes(
        accepted_at=accepted_at,
        statuses=dict(sorted(statuses.most_common(CAUSES))),
        refusals=tuple(merged[:CAUSES]),
        complete=len(telling) == len(instances),
    )


def _by_our_clock(
    one: InstanceReport, refusal: RefusalReport, at: float
) -> RefusalReport:
    slots = (Slot(one.moment(slot.at, at), slot.count) for slot in refusal.slots)
    sources = (Source(s.address, one.moment(s.at, at)) for s in refusal.sources)
    others = refusal.others_at
    return replace(
        refusal,
        slots=tuple(slots),
        sources=tuple(sources),
        others_at=None if others is None else one.moment(others, at),
    )


def _newest(refusal: RefusalReport) -> float:
    return max(slot.at for slot in refusal.slots)


def _merged(
    parts: Sequence[RefusalReport], accepted_at: float | None, at: float
) -> FleetRefusal:
    newest = max(parts, key=_newest)
    slots = [slot for part in parts for slot in part.slots]
    row = [slot for slot in slots if accepted_at is None or slot.at > accepted_at]
    since = min((slot.at for slot in row), default=None)
    # What an address did before does not belong to what is told. A slot is as old as
    # the last in it.
    oldest = min(s.at for s in slots) if since is None else since
    oldest -= SLOT_SECONDS
    if since is not None and accepted_at is not None:
        oldest = max(oldest, accepted_at)
    seen = _latest(parts, oldest)
    addresses = sorted(seen, key=seen.__getitem__, reverse=True)
    others = [part.others_at for part in parts if part.others_at is not None]
    return FleetRefusal(
        status=newest.status,
        reason=newest.reason,
        publisher=newest.publisher,
        count=sum(s.count for s in slots if at - s.at <= RECENT_SECONDS),
        newest_at=_newest(newest),
        addresses=tuple(addresses[:SOURCES]),
        others=len(addresses) > SOURCES or any(one >= oldest for one in others),
        in_a_row=sum(slot.count for slot in row),
        in_a_row_since=since,
    )


def _latest(parts: Iterable[RefusalReport], oldest: float) -> dict[str, float]:
    """When each address was seen last, not before `oldest`."""
    seen: dict[str, float] = {}
    for part in parts:
        for one in part.sources:
            if one.at >= oldest:
                seen[one.address] = max(one.at, seen.get(one.address, 0.0))
    return seen
