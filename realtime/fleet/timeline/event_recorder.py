"""Puts together what of one service is worth telling, where it happens."""

import socket
from typing import TYPE_CHECKING, Final

from realtime import metrics
from realtime.fleet.quantiles import total
from realtime.fleet.timeline.events import MOST_WORDS, StreamChanged, WorkerDied
from realtime.fleet.timeline.outage import Outages
from realtime.fleet.timeline.rejection_bursts import Bursts, Reason
from realtime.intake.outbox import SETTLED_WELL, Outcome
from realtime.jetstream.stream_config import NANOSECONDS, Setting
from realtime.jetstream.stream_keeper import Change

if TYPE_CHECKING:
    from realtime.service import RealtimeService

SETTINGS_NAMED: Final = 20


class EventRecorder:
    """Takes the hooks of the bridge, the outbox and the stream of `service`, and notes
    in its agent's chronicle."""

    def __init__(self, service: "RealtimeService") -> None:
        self._service = service
        self._chronicle = service.agent.chronicle
        self._happenings = self._chronicle.happenings
        self._me = service.bridge.consumer_name
        self._outages = Outages(
            self._happenings,
            self._me,
            is_waiting=lambda key: service.intake.outbox.get(key) is not None,
            published_since=self._published_since,
            rejected=lambda: _value_of("nats"),
        )
        self._bursts = Bursts(self._happenings, self._me, _rejections)
        self._chronicle.refresh = self._outages.refresh
        service.bridge.on_lost = self._outages.lost_connection
        service.bridge.stream.on_change = self._on_stream_changed
        service.intake.on_not_stored = self._on_not_stored
        service.intake.outbox.on_settled = self._on_settled

    def sample(self) -> None:
        """Every 10 s."""
        self._bursts.sample()
        self._outages.refresh()

    def on_ready(self) -> None:
        """NATS is back, or there for the first time."""
        if self._service.bridge.out_since is None:
            self._outages.back()

    def worker_died(self, worker: int, pid: int, reason: str, at: float) -> None:
        """The supervisor tells of a worker that died `at` a time (Unix seconds)."""
        self._happenings.note(
            WorkerDied(
                seen_by=self._me,
                at=at,
                host=socket.gethostname()[:MOST_WORDS],
                worker=worker,
                pid=pid,
                reason=reason[:MOST_WORDS],
            )
        )

    def _on_not_stored(self, environment: str, kept: bool) -> None:
        self._outages.not_stored(environment, kept=kept)

    def _on_settled(self, environment: str, outcome: Outcome) -> None:
        if outcome not in SETTLED_WELL:
            self._outages.dropped(environment)
        elif self._service.bridge.out_since is None:
            self._outages.back()

    def _on_stream_changed(
        self, change: Change, differences: tuple[Setting, ...]
    ) -> None:
        self._happenings.note(
            StreamChanged(
                seen_by=self._me,
                at=self._happenings.clock(),
                change=change,
                settings=tuple(
                    f"{one.name} is {one.actual} instead of {one.expected}"[:MOST_WORDS]
                    for one in differences[:SETTINGS_NAMED]
                ),
            )
        )

    def _published_since(self, environment: str, moment: float) -> bool:
        latest = self._service.hub.latest.of(environment)
        return latest is not None and latest.identity[1] / NANOSECONDS > moment


def _rejections() -> dict[Reason, int]:
    return {"full": _value_of("full"), "failed": _value_of("failed")}


def _value_of(reason: str) -> int:
    return total(metrics.rejections[reason])
