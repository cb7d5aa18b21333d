"""This process's own report: what its hub, bridge, intake and metrics show."""

import os
import socket
import time
from collections.abc import Callable
from typing import Final

from realtime import __version__, metrics
from realtime.conf import RealtimeSettings
from realtime.environments import is_probe_environment, without_probes
from realtime.fleet.key_shortening import shortened, without_whole_keys
from realtime.fleet.messages import (
    Busy,
    InstanceReport,
    LatestUpdate,
    OutboxReport,
    Sighting,
)
from realtime.fleet.publishes.recorder import PublishRecorder
from realtime.fleet.quantiles import RecentQuantiles, total
from realtime.fleet.wire_types import LONGEST_TEXT
from realtime.intake.intake import Intake
from realtime.jetstream.bridge import NatsBridge
from realtime.jetstream.stream_config import NANOSECONDS, StreamSettings
from realtime.lifecycle import Lifecycle
from realtime.process import worker_number
from realtime.sse.hub import Hub

BUSIEST: Final = 40
"""More than are shown: one that is busy over all may not be among the first ten of each
instance."""

LATEST: Final = 10


class Reporter:
    """Reports on the process of `hub`, `bridge`, `intake`, `publishes` and `lifecycle`.
    `address` tells where others reach it, and `finding_ages` for how long the findings
    of its last overview have held, where it is so many Unix seconds."""

    def __init__(
        self,
        settings: RealtimeSettings,
        hub: Hub,
        bridge: NatsBridge,
        intake: Intake,
        publishes: PublishRecorder,
        lifecycle: Lifecycle,
        *,
        address: Callable[[], str | None],
        finding_ages: Callable[[float], dict[str, float]],
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._bridge = bridge
        self._intake = intake
        self._publishes = publishes
        self._lifecycle = lifecycle
        self._address = address
        self._finding_ages = finding_ages
        self._started_at = time.time()
        self._publish = RecentQuantiles(metrics.publish_duration_seconds)
        self._delivery = RecentQuantiles(metrics.delivery_duration_seconds)

    def sample(self) -> None:
        """Every 10 s: for the latencies of the last minute."""
        self._publish.sample()
        self._delivery.sample()

    def me(self) -> Sighting:
        """Who this is."""
        lifecycle = self._lifecycle
        return Sighting(
            instance=self._bridge.consumer_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            worker=worker_number(),
            supervisor=None if worker_number() is None else os.getppid(),
            draining=lifecycle.draining,
            address=self._address(),
            started_at=self._started_at,
            drained_by=lifecycle.drained_by[:LONGEST_TEXT] or None,
            streams=lifecycle.streams_at_drain,
        )

    def report(self) -> InstanceReport:
        """The state of this process; visits every environment."""
        me, now, lifecycle = self.me(), time.time(), self._lifecycle
        hub, bridge, not_ready = self._hub, self._bridge, lifecycle.not_ready
        busiest = hub.busiest(BUSIEST + 1)
        error, error_at = bridge.last_error or (None, None)
        return InstanceReport(
            instance=me.instance,
            host=me.host,
            pid=me.pid,
            worker=me.worker,
            version=__version__,
            now=now,
            started_at=self._started_at,
            not_ready=not_ready.detail if not_ready else None,
            not_ready_since=lifecycle.not_ready_since if not_ready else None,
            draining=me.draining,
            leaving=lifecycle.leaving,
            nats_server=bridge.server,
            nats_reconnects=total(metrics.nats_reconnects_total),
            last_error=_showable(error),
            last_error_at=error_at,
            sequence=bridge.sequence,
            publish_refused=_showable(bridge.publish_refused),
            waiting=bridge.backlog.waiting,
            waiting_since=bridge.backlog.since,
            stream=StreamSettings.of(self._settings),
            differences=bridge.stream.differences,
            subscribers=hub.subscribers,
            subscribers_limit=self._settings.max_subscribers,
            lagging=total(metrics.lagging_subscribers),
            clients=hub.by_client,
            environments=hub.environments,
            busiest=self._busiest(busiest[:BUSIEST]),
            unnamed=busiest[BUSIEST][1] if len(busiest) > BUSIEST else 0,
            latest=self._latest(),
            updates_read=total(metrics.updates_total),
            updates_delivered=total(metrics.http_writes["data"]),
            rejections=total(*metrics.rejections.values()),
            outbox=self._outbox(),
            publish_seconds=self._publish.quantiles(),
            delivery_seconds=self._delivery.quantiles(),
            publishes=self._publishes.report(now),
            finding_ages=self._finding_ages(now),
        )

    def _busiest(self, busiest: list[tuple[str, int]]) -> tuple[Busy, ...]:
        return tuple(
            Busy(shortened(key), count, self._stored_at(key), key=key)
            for key, count in without_probes(busiest)
        )

    def _stored_at(self, environment: str) -> float | None:
        latest = self._hub.latest.of(environment)
        return latest.identity[1] / NANOSECONDS if latest else None

    def _latest(self) -> tuple[LatestUpdate, ...]:
        newest = self._hub.latest.newest(LATEST, unless=is_probe_environment)
        return tuple(
            LatestUpdate(
                environment=shortened(environment),
                updated_at=latest.update.updated_at[:LONGEST_TEXT],
                sequence=latest.identity[0],
                stored_at=latest.identity[1] / NANOSECONDS,
            )
            for environment, latest in newest
        )

    def _outbox(self) -> OutboxReport:
        outbox, folder = self._intake.outbox, self._intake.folder
        fault = folder.fault if folder is not None else None
        return OutboxReport(
            updates=len(outbox),
            since=outbox.oldest,
            fault=fault and fault[:LONGEST_TEXT],
        )


def _showable(error: str | None) -> str | None:
    return without_whole_keys(error)[:LONGEST_TEXT] if error else None
