"""What the instances and JetStream have answered, from which an overview is made."""

from dataclasses import dataclass, field

from realtime.fleet.history.minutes import History
from realtime.fleet.messages import Answer, InstanceReport
from realtime.fleet.timeline.messages import EventsAnswer
from realtime.jetstream.stream_health import StreamHealth


@dataclass
class Answers:
    """Answers to everything that was asked, those of this process included. If NATS
    cannot be used `nats_error` says why, and only this process has answered. The stream
    is as `stream` says, or `stream_error` says what is wrong with it, or
    `stream_unseen` why we may not look. `unheard`: this process is connected and does
    not hear itself. `counts` are, by instance, the subscribers of environments that
    `reports` name. It all `took` so many seconds."""

    reports: list[Answer] = field(default_factory=list)
    own: InstanceReport | None = None
    events: list[EventsAnswer] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    stream: StreamHealth | None = None
    stream_error: str | None = None
    stream_unseen: str | None = None
    nats_error: str | None = None
    unheard: bool = False
    took: float = 0.0

    @property
    def instances(self) -> list[InstanceReport]:
        """A report of each, by host."""
        reports = {answer.instance: answer.report for answer in self.reports}
        if self.own is not None:
            reports.setdefault(self.own.instance, self.own)
        return sorted(reports.values(), key=lambda one: (one.host, one.pid))
