"""What became of the requests to publish, over all instances."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from realtime.fleet.messages import InstanceReport
from realtime.fleet.publishes.messages import CAUSES, SOURCES, RefusalReport, Slot
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
    accepted: list[float] = []
    statuses: Counter[int] = Counter()
    told: list[tuple[RefusalReport, float]] = []
    telling = [(one.publishes, at - one.now) for one in instances if one.publishes]
    for report, ahead in telling:
        if report.accepted_at is not None:
            accepted.append(max(0.0, min(at, report.accepted_at + ahead)))
        for answered in report.statuses:
            statuses[answered.status] += answered.count
        told += [(one, ahead) for one in report.refusals if one.slots]
    if not telling:
        return None
    parts: defaultdict[tuple[int, bool], list[_Part]] = defaultdict(list)
    for refusal, ahead in told[:MOST_PARTS]:
        key = refusal.status, refusal.publisher
        parts[key].append(_Part(refusal, ahead, at))
    accepted_at = max(accepted, default=None)
    merged = [_merged(group, accepted_at, at) for group in parts.values()]
    merged.sort(key=lambda refusal: refusal.newest_at, reverse=True)
    return FleetPublishes(
        accepted_at=accepted_at,
        statuses=dict(sorted(statuses.most_common(CAUSES))),
        refusals=tuple(merged[:CAUSES]),
        complete=len(telling) == len(instances),
    )


class _Part:
    """What one instance tells of a cause, with its times by our clock."""

    def __init__(self, refusal: RefusalReport, ahead: float, at: float) -> None:
        def moment(told: float) -> float:
            return max(0.0, min(at, told + ahead))

        self.status, self.publisher = refusal.status, refusal.publisher
        self.reason = refusal.reason
        self.slots = [Slot(moment(slot.at), slot.count) for slot in refusal.slots]
        self.newest_at = max(slot.at for slot in self.slots)
        self.sources = {one.address: moment(one.at) for one in refusal.sources}
        others = refusal.others_at
        self.others_at = float("-inf") if others is None else moment(others)


def _merged(
    parts: Sequence[_Part], accepted_at: float | None, at: float
) -> FleetRefusal:
    newest = max(parts, key=lambda part: part.newest_at)
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
    addresses = sorted(seen, key=lambda address: seen[address], reverse=True)
    return FleetRefusal(
        status=newest.status,
        reason=newest.reason,
        publisher=newest.publisher,
        count=sum(s.count for s in slots if at - s.at <= RECENT_SECONDS),
        newest_at=newest.newest_at,
        addresses=tuple(addresses[:SOURCES]),
        others=len(addresses) > SOURCES
        or any(part.others_at >= oldest for part in parts),
        in_a_row=sum(slot.count for slot in row),
        in_a_row_since=since,
    )


def _latest(parts: Iterable[_Part], oldest: float) -> dict[str, float]:
    """When each address was seen last, not before `oldest`."""
    seen: dict[str, float] = {}
    for part in parts:
        for address, moment in part.sources.items():
            if moment >= oldest:
                seen[address] = max(moment, seen.get(address, moment))
    return seen
