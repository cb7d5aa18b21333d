"""Notes what happens to this process, where it happens."""

import socket
from typing import Final

from realtime import metrics
from realtime.fleet.quantiles import total
from realtime.fleet.timeline.events import MOST_WORDS, StreamChanged, WorkerDied
from realtime.fleet.timeline.outages import Outages
from realtime.fleet.timeline.rejection_bursts import RejectionBursts
from realtime.fleet.timeline.timeline import Timeline
from realtime.intake.intake import Intake
from realtime.intake.outbox import SETTLED_WELL, Outcome
from realtime.jetstream.bridge import NatsBridge
from realtime.jetstream.stream_config import NANOSECONDS, Setting
from realtime.jetstream.stream_keeper import Change
from realtime.sse.hub import Hub

SETTINGS_NAMED: Final = 20


class EventRecorder:
    """Takes the hooks of `bridge`, its stream, `intake` and its outbox, and notes in
    `timeline`."""

    def __init__(
        self, timeline: Timeline, hub: Hub, bridge: NatsBridge, intake: Intake
    ) -> None:
        self._events = timeline.events
        self._hub = hub
        self._bridge = bridge
        self._me = bridge.consumer_name
        self._outages = Outages(
            self._events,
            self._me,
            is_waiting=lambda key: intake.outbox.get(key) is not None,
            published_since=self._published_since,
            rejected=lambda: total(metrics.rejections["nats"]),
        )
        self._bursts = RejectionBursts(
            self._events,
            self._me,
            lambda: {
                "full": total(metrics.rejections["full"]),
                "failed": total(metrics.rejections["failed"]),
            },
        )
        timeline.refresh = self._outages.refresh
        bridge.on_lost = self._outages.lost_connection
        bridge.stream.on_change = self._on_stream_changed
        intake.on_not_stored = self._outages.not_stored
        intake.outbox.on_settled = self._on_settled

    def sample(self) -> None:
        """Every 10 s."""
        self._bursts.sample()
        self._outages.refresh()

    def on_ready(self) -> None:
        """NATS is back, or there for the first time."""
        if self._bridge.out_since is None:
            self._outages.back()

    def worker_died(self, worker: int, pid: int, reason: str, at: float) -> None:
        """The supervisor tells of a worker that died `at` a time (Unix seconds)."""
        self._events.note(
            WorkerDied(
                seen_by=self._me,
                at=at,
                host=socket.gethostname()[:MOST_WORDS],
                worker=worker,
                pid=pid,
                reason=reason[:MOST_WORDS],
            )
        )

    def _on_settled(self, environment: str, outcome: Outcome) -> None:
        if outcome not in SETTLED_WELL:
            self._outages.dropped(environment)
        else:
            self.on_ready()

    def _on_stream_changed(
        self, change: Change, differences: tuple[Setting, ...]
    ) -> None:
        settings = tuple(
            f"{one.name} is {one.actual} instead of {one.expected}"[:MOST_WORDS]
            for one in differences[:SETTINGS_NAMED]
        )
        now = self._events.clock()
        self._events.note(
            StreamChanged(seen_by=self._me, at=now, change=change, settings=settings)
        )

    def _published_since(self, environment: str, moment: float) -> bool:
        latest = self._hub.latest.of(environment)
        return latest is not None and latest.identity[1] / NANOSECONDS > moment
