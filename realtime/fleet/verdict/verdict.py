"""Whether real-time updates work: one word, and why."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from realtime.fleet.messages import InstanceReport, Sighting
from realtime.fleet.units import counted
from realtime.fleet.verdict import instance_findings
from realtime.fleet.verdict.finding import Finding
from realtime.fleet.verdict.instance_findings import is_full
from realtime.fleet.verdict.stream_findings import of_stream
from realtime.jetstream.stream_health import StreamHealth

Level = Literal["well", "degraded", "down"]


class Verdict(Struct, frozen=True):
    """There is at least one finding. The first `decisive` ones make it the `level` it
    is, which it has been `since` then (Unix seconds), for all that is known; None:
    nothing is known of it, or all is well."""

    level: Level
    findings: tuple[Finding, ...]
    decisive: int = 1
    since: float | None = None

    @classmethod
    def on(
        cls, level: Level, findings: Sequence[Finding], decisive: int = 1
    ) -> "Verdict":
        known = [one.since for one in findings[:decisive] if one.since is not None]
        since = min(known, default=None) if level != "well" else None
        return cls(level, tuple(findings), decisive, since)

    @property
    def title(self) -> str:
        return {"well": "All well", "degraded": "Degraded", "down": "Down"}[self.level]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(finding.reason for finding in self.findings)

    def dated(self, since: Callable[[Finding], float | None]) -> "Verdict":
        """The same, with `since` for the findings that do not say it themselves."""
        found = [
            one if one.since is not None else replace(one, since=since(one))
            for one in self.findings
        ]
        return Verdict.on(self.level, found, self.decisive)


def judge(
    *,
    now: float,
    nats_error: str | None,
    stream_error: str | None,
    stream_unseen: str | None = None,
    stream: StreamHealth | None,
    instances: Sequence[InstanceReport],
    missing: Sequence[Sighting],
    unheard: bool,
    publish_findings: Iterable[Finding] = (),
    death_findings: Iterable[Finding] = (),
) -> Verdict:
    """The verdict on what was found at `now` (Unix seconds); `stream_unseen` says why
    we may not look at the stream, `unheard` if this process is an instance and its own
    answer is lacking.
    Down: nobody can subscribe or publish. Degraded: some cannot, or what should stand
    by does not."""
    waiting = tuple(instance_findings.outboxes(instances, now))
    if nats_error:
        away = instance_findings.nats_away(nats_error, instances, now)
        return Verdict.on("down", (away, *waiting))
    down = tuple(instance_findings.outages(stream_error, instances, now))
    degraded = [
        *publish_findings,
        *instance_findings.of_instances(instances, missing, now),
        *death_findings,
    ]
    if stream is not None:
        degraded += of_stream(stream, instances)
    degraded += waiting
    if stream_unseen:
        degraded.append(instance_findings.unseen(stream_unseen))
    if unheard:
        degraded.append(instance_findings.unheard(instances))
    if down:
        return Verdict.on("down", (*down, *degraded), len(down))
    if degraded:
        return Verdict.on("degraded", degraded, len(degraded))
    return Verdict.on("well", (_well(instances),))


def _well(instances: Sequence[InstanceReport]) -> Finding:
    leaving = sum(instance.draining for instance in instances)
    serving = counted(len(instances) - leaving, "instance serves", "instances serve")
    total = sum(instance.subscribers for instance in instances)
    subscribers = counted(total, "subscriber", "subscribers")
    return Finding(f"{serving} {subscribers}.")


def state_of(instance: InstanceReport) -> str:
    """`ready`, `unready`, `full`, `leaving` or `draining`; also the name of a CSS
    class."""
    if instance.draining:
        return "draining"
    if instance.leaving:
        return "leaving"
    if instance.not_ready:
        return "unready"
    return "full" if is_full(instance) else "ready"
