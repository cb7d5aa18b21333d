"""This process's own report, made by asking service, hub, bridge and metrics."""

import os
import socket
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from realtime import __version__, metrics
from realtime.environments import is_probe_environment, without_probes
from realtime.fleet.messages import (
    LONGEST_TEXT,
    Busy,
    InstanceReport,
    LatestUpdate,
    OutboxReport,
    Sighting,
    shortened,
    without_whole_keys,
)
from realtime.fleet.quantiles import RecentQuantiles, total
from realtime.jetstream.stream_config import NANOSECONDS, StreamSettings
from realtime.lifecycle import Phase
from realtime.process import worker_number

if TYPE_CHECKING:
    from realtime.service import RealtimeService

BUSIEST: Final = 40
"""More than are shown: one that is busy over all may not be among the first ten of each
instance."""

LATEST: Final = 10


class Reporter:
    """Reports on `service`."""

    def __init__(self, service: "RealtimeService") -> None:
        self._service = service
        self._started_at = time.time()
        self._publish = RecentQuantiles(metrics.publish_duration_seconds)
        self._delivery = RecentQuantiles(metrics.delivery_duration_seconds)

    def sample(self) -> None:
        """Every 10 s: for the latencies of the last minute, and for what happened."""
        self._publish.sample()
        self._delivery.sample()
        self._service.event_recorder.sample()

    def me(self) -> Sighting:
        """Who this is."""
        return Sighting(
            instance=self._service.bridge.consumer_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            worker=worker_number(),
            supervisor=None if worker_number() is None else os.getppid(),
            draining=self._service.lifecycle.draining,
            address=self._service.addresses.own,
            started_at=self._started_at,
            drained_by=self._service.lifecycle.drained_by[:LONGEST_TEXT] or None,
            streams=self._service.lifecycle.streams_at_drain,
        )

    def report(self) -> InstanceReport:
        """The state of this process; visits every environment."""
        service, me = self._service, self.me()
        hub, bridge = service.hub, service.bridge
        not_ready = service.not_ready
        busiest = hub.busiest(BUSIEST + 1)
        error, error_at = bridge.last_error or (None, None)
        now = time.time()
        return InstanceReport(
            instance=me.instance,
            host=me.host,
            pid=me.pid,
            worker=me.worker,
            version=__version__,
            now=now,
            started_at=self._started_at,
            not_ready=not_ready.detail if not_ready else None,
            not_ready_since=service.lifecycle.not_ready_since if not_ready else None,
            draining=me.draining,
            leaving=service.lifecycle.phase is Phase.LEAVING,
            nats_server=bridge.server,
            nats_reconnects=total(metrics.nats_reconnects_total),
            last_error=error and without_whole_keys(error)[:LONGEST_TEXT],
            last_error_at=error_at,
            sequence=bridge.sequence,
            publish_refused=without_whole_keys(bridge.publish_refused or "")[
                :LONGEST_TEXT
            ]
            or None,
            waiting=bridge.backlog.waiting,
            waiting_since=bridge.backlog.since,
            stream=StreamSettings.of(service.settings),
            differences=bridge.stream.differences,
            subscribers=hub.subscribers,
            subscribers_limit=service.settings.max_subscribers,
            lagging=total(metrics.lagging_subscribers),
            clients=hub.by_client,
            environments=hub.environments,
            busiest=tuple(
                Busy(
                    shortened(environment),
                    count,
                    self._stored_at(environment),
                    key=environment,
                )
                for environment, count in without_probes(busiest[:BUSIEST])
            ),
            unnamed=busiest[BUSIEST][1] if len(busiest) > BUSIEST else 0,
            latest=tuple(self._latest()),
            updates_read=total(metrics.updates_total),
            updates_delivered=total(metrics.http_writes["data"]),
            rejections=total(*metrics.rejections.values()),
            outbox=self._outbox(),
            publish_seconds=self._publish.quantiles(),
            delivery_seconds=self._delivery.quantiles(),
            publishes=service.publishes.report(now),
            finding_ages=service.memory.ages(now),
        )

    def _outbox(self) -> OutboxReport:
        intake = self._service.intake
        fault = intake.folder.fault if intake.folder is not None else None
        return OutboxReport(
            updates=len(intake.outbox),
            since=intake.outbox.oldest,
            fault=fault and fault[:LONGEST_TEXT],
        )

    def _stored_at(self, environment: str) -> float | None:
        latest = self._service.hub.latest.of(environment)
        return latest.identity[1] / NANOSECONDS if latest else None

    def _latest(self) -> Iterable[LatestUpdate]:
        for environment, latest in self._service.hub.latest.newest(
            LATEST, unless=is_probe_environment
        ):
            sequence, nanoseconds = latest.identity
            yield LatestUpdate(
                environment=shortened(environment),
                updated_at=latest.update.updated_at[:LONGEST_TEXT],
                sequence=sequence,
                stored_at=nanoseconds / NANOSECONDS,
            )
