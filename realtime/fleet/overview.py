"""The whole fleet at one moment."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, json

from realtime.conf import RealtimeSettings
from realtime.fleet.client_kinds import ClientCount, summed
from realtime.fleet.environment.busiest import busiest, without_keys
from realtime.fleet.history.fleet_history import FleetHistory
from realtime.fleet.history.survey import history_of
from realtime.fleet.messages import (
    Busy,
    InstanceReport,
    LatestUpdate,
    Sighting,
)
from realtime.fleet.overview_memory import memory_of
from realtime.fleet.overview_survey import Heard, hear, missing_from
from realtime.fleet.publishes.fleet_publishes import FleetPublishes, fleet_publishes
from realtime.fleet.timeline.event_text import Story, tell
from realtime.fleet.timeline.merged_events import merge
from realtime.fleet.timeline.messages import Account, Death
from realtime.fleet.verdict.death_findings import dead_of, death_findings, expected_of
from realtime.fleet.verdict.publish_findings import publish_findings
from realtime.fleet.verdict.verdict import Verdict, judge
from realtime.jetstream.stream_health import StreamHealth

if TYPE_CHECKING:
    from realtime.service import RealtimeService

SHOWN: Final = 10
"""The latest updates and the busiest environments."""


class Totals(Struct, frozen=True):
    """Sums over the instances."""

    subscribers: int
    lagging: int
    updates_delivered: int
    rejections: int


class FleetReport(Struct, frozen=True, kw_only=True):
    """`at` is when it was made (Unix seconds) and `took` how long that took. `missing`
    were seen in the last minute and do not answer. If NATS cannot be used `nats_error`
    says why, and `instances` is at most this process: `last_known` is the last report
    that this process had of all of them before, None if it had none. If the stream
    cannot be looked at, `stream_error` says why. An environment that is not among the
    `busiest`, because no instance has named it, has `unnamed` subscribers at most. The
    `history` is complete if all `instances` have told theirs and none is missing. So
    many hosts are `expected` to answer; 0: nobody says. The `dead` died, whenever that
    was, and are expected back; `happenings` are of the last hours."""

    verdict: Verdict
    at: float
    took: float
    totals: Totals
    clients: tuple[ClientCount, ...]
    instances: tuple[InstanceReport, ...]
    missing: tuple[Sighting, ...]
    latest: tuple[LatestUpdate, ...]
    busiest: tuple[Busy, ...]
    stream: StreamHealth | None
    nats_error: str | None
    stream_error: str | None
    history: FleetHistory
    publishes: FleetPublishes | None = None
    expected: int = 0
    dead: tuple[Death, ...] = ()
    happenings: tuple[Story, ...] = ()
    unnamed: int = 0
    last_known: "FleetReport | None" = None

    @property
    def missed(self) -> int:
        """How many of the `missing` have not left on purpose."""
        return sum(one.missed for one in self.missing)


async def gather(
    settings: RealtimeSettings, service: "RealtimeService | None" = None
) -> FleetReport:
    """Ask everybody; `service` is this process's own, if it runs one. Takes two seconds
    at most, and raises nothing for what NATS does."""
    heard = await hear(settings, service)
    at = time.time()
    present = heard.instances
    dismissed = {name for account in heard.accounts for name in account.dismissed}
    missing = missing_from(heard, service, dismissed)
    if heard.stream is not None:
        heard.stream = _as_wanted(heard.stream, present)
    publishes = fleet_publishes(present, at)
    dead = dead_of(heard.accounts, present)
    expected = expected_of(heard.accounts, settings.expected_instances)
    most = busiest(present, heard.counts, SHOWN)
    asked = [one.instance for one in present]
    asked += [one.instance for one in missing if one.missed]
    report = FleetReport(
        verdict=_verdict(heard, at, missing, publishes, dead, expected),
        at=at,
        took=heard.took,
        totals=_totals(present),
        clients=summed(one.clients for one in present),
        instances=tuple(map(without_keys, present)),
        missing=tuple(missing),
        latest=_latest(present),
        busiest=most.environments,
        unnamed=most.unnamed,
        stream=heard.stream,
        nats_error=heard.nats_error,
        stream_error=heard.stream_error or heard.stream_unseen,
        history=await history_of(heard.histories, service, asked),
        publishes=publishes,
        expected=expected,
        dead=dead,
        happenings=_happenings(heard.accounts, at),
    )
    return memory_of(service).note(report)


def as_json(report: Struct) -> bytes:
    """`report` as JSON that is text even where somebody takes it for HTML."""
    encoded = json.encode(report)
    for character in b"<>&":
        encoded = encoded.replace(b"%c" % character, b"\\u%04x" % character)
    return encoded


def _verdict(
    heard: Heard,
    at: float,
    missing: Sequence[Sighting],
    publishes: FleetPublishes | None,
    dead: Sequence[Death],
    expected: int,
) -> Verdict:
    unseen = {one.instance for one in missing}
    return judge(
        now=at,
        nats_error=heard.nats_error,
        stream_error=heard.stream_error,
        stream_unseen=heard.stream_unseen,
        stream=heard.stream,
        instances=heard.instances,
        missing=missing,
        unheard=heard.unheard,
        publish_findings=publish_findings(publishes, at),
        death_findings=death_findings(
            # For a minute a dead instance is missing, which is said already.
            [death for death in dead if death.sighting.instance not in unseen],
            heard.instances,
            expected,
        ),
    )


def _happenings(accounts: Sequence[Account], at: float) -> tuple[Story, ...]:
    awaited = max((one.awaited for one in accounts), default=0)
    return tell(merge(accounts, at), at, awaited=awaited)


def _as_wanted(
    stream: StreamHealth, instances: Iterable[InstanceReport]
) -> StreamHealth:
    """`stream` by what the instances want of it, where they say so: this process may
    have other settings. If they differ, by the first that it does not satisfy."""
    wanted = dict.fromkeys(
        one.stream for one in instances if one.stream and not one.draining
    )
    compared = [stream.compared_with(one) for one in wanted]
    differing = [one for one in compared if one.differences]
    return [*differing, *compared, stream][0]


def _totals(instances: Sequence[InstanceReport]) -> Totals:
    return Totals(
        subscribers=sum(one.subscribers for one in instances),
        lagging=sum(one.lagging for one in instances),
        updates_delivered=sum(one.updates_delivered for one in instances),
        rejections=sum(one.rejections for one in instances),
    )


def _latest(instances: Sequence[InstanceReport]) -> tuple[LatestUpdate, ...]:
    """Every instance reads the same stream; one may be ahead of another."""
    by_sequence = {u.sequence: u for one in instances for u in one.latest}
    newest_first = sorted(by_sequence, reverse=True)
    return tuple(by_sequence[sequence] for sequence in newest_first[:SHOWN])
