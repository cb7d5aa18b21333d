"""The whole fleet at one moment, as pages, commands and JSON show it."""

from collections.abc import Collection

from msgspec import Struct, json

from realtime.fleet.client_kinds import ClientCount
from realtime.fleet.history.fleet_history import FleetHistory
from realtime.fleet.messages import Busy, InstanceReport, LatestUpdate, Sighting
from realtime.fleet.publishes.fleet_publishes import FleetPublishes
from realtime.fleet.timeline.event_text import EventText
from realtime.fleet.timeline.messages import Death
from realtime.fleet.verdict.verdict import Verdict
from realtime.jetstream.stream_health import StreamHealth


class Totals(Struct, frozen=True):
    """Sums over the instances."""

    subscribers: int
    lagging: int
    updates_delivered: int
    rejections: int

    @classmethod
    def of(cls, instances: Collection[InstanceReport]) -> "Totals":
        return cls(
            subscribers=sum(one.subscribers for one in instances),
            lagging=sum(one.lagging for one in instances),
            updates_delivered=sum(one.updates_delivered for one in instances),
            rejections=sum(one.rejections for one in instances),
        )


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
    happenings: tuple[EventText, ...] = ()
    unnamed: int = 0
    last_known: "FleetReport | None" = None

    @property
    def missed(self) -> int:
        """How many of the `missing` have not left on purpose."""
        return sum(one.missed for one in self.missing)


def as_json(report: Struct) -> bytes:
    """`report` as JSON that is text even where somebody takes it for HTML."""
    encoded = json.encode(report)
    for character in b"<>&":
        encoded = encoded.replace(b"%c" % character, b"\\u%04x" % character)
    return encoded
