"""What the instances of the fleet tell of themselves over NATS, as JSON: on core NATS,
outside the stream's subjects. What arrives is text wherever it is shown."""

from typing import Annotated, Final

from msgspec import Meta, Struct, field

from realtime.fleet.publishes.messages import PublishesReport
from realtime.fleet.wire_types import (
    Clients,
    Count,
    EnvironmentKey,
    InstanceName,
    Moment,
    Seconds,
    Text,
)
from realtime.jetstream.stream_config import Setting, StreamSettings

REPORT: Final = "flagsmith.fleet.report"
"""Asks every instance for its `Answer`; with `.<instance>`, one of them."""

ALIVE: Final = "flagsmith.fleet.alive"
"""Where every instance publishes its `Sighting` from time to time."""

DRAIN: Final = "flagsmith.fleet.drain"
"""With `.<instance>`: tells that instance to drain and to stop."""

MOST_LISTED: Final = 100
"""Updates or settings in one report, which lists ten."""

MOST_OVERDUE: Final = 1000
"""In one answer: as many instances as are remembered."""

FindingAges = Annotated[
    dict[
        Annotated[str, Meta(min_length=16, max_length=16)],
        Seconds,
    ],
    Meta(max_length=64),
]
"""For how many seconds findings of the verdict have held, by `memory.key_of` them."""


class Busy(Struct, frozen=True):
    """An environment (shortened key), how many subscribe to it, and when its latest
    update was stored (Unix seconds; None: none is kept). Of all instances together
    `at_least` so many, where one tells of its busiest only. The whole `key` is told
    over NATS only: no report that is shown has one."""

    environment: Text
    subscribers: Count
    stored_at: Moment | None = None
    at_least: bool = False
    key: EnvironmentKey | None = None


class LatestUpdate(Struct, frozen=True):
    """An update: the environment's shortened key, `updated_at` as it was published,
    its sequence in the stream, and when it was stored (Unix seconds)."""

    environment: Text
    updated_at: Text
    sequence: Count
    stored_at: Moment


class OutboxReport(Struct, frozen=True):
    """How many updates wait until NATS can store them, since when (Unix seconds), and
    why they are in memory only where they should be on disk."""

    updates: Count = 0
    since: Moment | None = None
    fault: Text | None = None


class Quantiles(Struct, frozen=True):
    """Seconds within which half, 95 % and 99 % were done, of so many."""

    p50: Seconds
    p95: Seconds
    p99: Seconds
    count: Count


class InstanceReport(Struct, frozen=True, kw_only=True):
    """The state of one server process. Times are Unix seconds by its own clock, which
    showed `now`; what was counted was counted since it started.

    `worker` is its number among the workers of one `serve`; None: it is a process of
    its own. `not_ready` says why no stream should come here, which has been so
    `not_ready_since` then; None: all is well. If it is `leaving` it was told to drain,
    for which a worker waits until it is replaced. `publish_refused` says why NATS takes
    no update from it; None: it does. `waiting` updates at most have not been delivered
    to it, and nothing else either, since `waiting_since`. `stream` is what it wants of
    the stream, None in a report of an older version, and `differences` are what it
    found otherwise, `publishes` None in a report of an older version. An environment
    that is not among the `busiest` has `unnamed` subscribers at most; None: an older
    version does not tell.
    """

    instance: InstanceName
    host: Text
    pid: Count
    version: Text
    now: Moment
    started_at: Moment
    worker: Count | None = None
    not_ready: Text | None = None
    not_ready_since: Moment | None = None
    draining: bool = False
    leaving: bool = False
    nats_server: Text | None = None
    nats_reconnects: Count = 0
    last_error: Text | None = None
    last_error_at: Moment | None = None
    sequence: Count = 0
    publish_refused: Text | None = None
    waiting: Count = 0
    waiting_since: Moment | None = None
    stream: StreamSettings | None = None
    differences: Annotated[tuple[Setting, ...], Meta(max_length=MOST_LISTED)] = ()
    subscribers: Count = 0
    subscribers_limit: Count = 0
    lagging: Count = 0
    clients: Clients = field(default_factory=dict)
    environments: Count = 0
    busiest: tuple[Busy, ...] = ()
    unnamed: Count | None = None
    latest: Annotated[tuple[LatestUpdate, ...], Meta(max_length=MOST_LISTED)] = ()
    updates_read: Count = 0
    updates_delivered: Count = 0
    rejections: Count = 0
    outbox: OutboxReport = OutboxReport()
    publish_seconds: Quantiles | None = None
    delivery_seconds: Quantiles | None = None
    publishes: PublishesReport | None = None
    finding_ages: FindingAges = field(default_factory=dict)

    @property
    def uptime(self) -> float:
        """Seconds."""
        return max(0.0, self.now - self.started_at)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.sighting.name

    @property
    def sighting(self) -> "Sighting":
        return Sighting(
            instance=self.instance,
            host=self.host,
            pid=self.pid,
            worker=self.worker,
            draining=self.draining,
        )


class Sighting(Struct, frozen=True, kw_only=True):
    """An instance that was alive `ago` seconds ago, `draining` or not; `left` if that
    was its last word. At `address` (`HOST:PORT`) other instances reach it. It started
    at `started_at` (Unix seconds); where it drains, that is by order of the user
    `drained_by`, if it was one, and it had so many `streams` when it began. A `worker`
    is one of the process `supervisor`."""

    instance: InstanceName
    host: Text
    pid: Count
    worker: Count | None = None
    draining: bool = False
    left: bool = False
    ago: Seconds = 0
    address: Text | None = None
    started_at: Moment | None = None
    drained_by: Text | None = None
    streams: Count = 0
    supervisor: Count | None = None

    @property
    def missed(self) -> bool:
        """Whether it is a fault if it does not answer: not if it was shutting down."""
        return not self.draining

    @property
    def name(self) -> str:
        """What people call it."""
        worker = "" if self.worker is None else f", worker {self.worker}"
        return f"{self.host} ({self.pid}{worker})"


class DrainOrder(Struct, frozen=True):
    """Which user wants an instance to drain; empty: nobody that is known."""

    by: Text = ""


class Answer(Struct, frozen=True, kw_only=True):
    """An instance's report, how many instances it knows to be alive, and those that it
    has not heard of for too long."""

    report: InstanceReport
    alive: Count
    overdue: Annotated[tuple[Sighting, ...], Meta(max_length=MOST_OVERDUE)] = ()

    @property
    def instance(self) -> str:
        return self.report.instance
