"""This process's own report, made by asking hub, bridge and admission."""

import heapq
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from realtime import __version__
from realtime.report import (
    Busy,
    InstanceReport,
    LatestUpdate,
    Sighting,
    shortened,
)

if TYPE_CHECKING:
    from realtime.service import RealtimeService

WORKER_NUMBER: Final = "REALTIME_WORKER_NUMBER"
"""The environment variable that tells a worker its number."""

BUSIEST: Final = 10
LATEST: Final = 10


class Reporter:
    """Reports on `service`."""

    def __init__(self, service: "RealtimeService") -> None:
        self._service = service
        self._started_at = time.time()
        number = os.environ.get(WORKER_NUMBER, "")
        self._worker = int(number) if number.isdecimal() else None

    def me(self) -> Sighting:
        """Who this is; cheap."""
        return Sighting(
            instance=self._service.bridge.consumer_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            worker=self._worker,
            draining=self._service.draining,
        )

    def report(self) -> InstanceReport:
        """The state of this process; visits every subscriber."""
        service, me = self._service, self.me()
        hub, bridge = service.hub, service.bridge
        error, error_at = bridge.last_error or (None, None)
        return InstanceReport(
            instance=me.instance,
            host=me.host,
            pid=me.pid,
            worker=me.worker,
            version=__version__,
            now=time.time(),
            started_at=self._started_at,
            not_ready=service.not_ready,
            draining=me.draining,
            nats_server=bridge.server,
            nats_reconnects=0,
            last_error=error,
            last_error_at=error_at,
            sequence=bridge.sequence,
            subscribers=hub.subscribers,
            subscribers_limit=service.settings.max_subscribers,
            lagging=hub.lagging,
            environments=hub.environments,
            busiest=tuple(
                Busy(shortened(environment), count)
                for environment, count in heapq.nlargest(
                    BUSIEST, hub.population(), key=lambda item: item[1]
                )
            ),
            latest=tuple(bridge.latest(LATEST)),
        )
