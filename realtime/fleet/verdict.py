"""Whether real-time updates work: one word, and why."""

import time
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from realtime.fleet.finding import Finding
from realtime.fleet.messages import InstanceReport, Sighting
from realtime.fleet.stream_health import StreamHealth
from realtime.jetstream.stream_config import VARIABLES, Setting

Level = Literal["well", "degraded", "down"]

BEHIND: Final = 1000
"""Updates that wait to be read: more than are on their way at any time."""

NAMED: Final = 3
"""How many instances are named before they are only counted."""


class Verdict(Struct, frozen=True):
    """`reasons` are whole sentences; there is at least one."""

    level: Level
    reasons: tuple[str, ...]

    @property
    def title(self) -> str:
        return {"well": "All well", "degraded": "Degraded", "down": "Down"}[self.level]


def judge(
    *,
    nats_error: str | None,
    stream_error: str | None,
    stream_unseen: str | None = None,
    stream: StreamHealth | None,
    instances: Sequence[InstanceReport],
    missing: Sequence[Sighting],
    unheard: bool,
    death_findings: Iterable[Finding] = (),
    publish_findings: Iterable[Finding] = (),
) -> Verdict:
    """The verdict on what was found; `stream_unseen` says why we may not look at the
    stream, `unheard` if this process is an instance and its own answer is lacking, and
    the findings are what else makes it degraded.
    Down: nobody can subscribe or publish. Degraded: some cannot, or what should stand
    by does not."""
    waiting = list(_outboxes(instances))
    if nats_error:
        return Verdict("down", (nats_error, *waiting))
    down = list(_down(stream_error, instances))
    degraded = [
        *(f"{one.reason} {one.consequence}".strip() for one in publish_findings),
        *_degraded(stream, instances, missing),
        *(one.reason for one in death_findings),
        *waiting,
    ]
    if stream_unseen:
        degraded.append(f"The stream is not watched: {stream_unseen}")
    if unheard:
        degraded.append(_unheard(instances))
    if down:
        return Verdict("down", (*down, *degraded))
    if degraded:
        return Verdict("degraded", tuple(degraded))
    leaving = sum(instance.draining for instance in instances)
    serving = _counted(len(instances) - leaving, "instance serves", "instances serve")
    return Verdict("well", (f"{serving} {_subscribers(instances)}.",))


def _down(
    stream_error: str | None, instances: Sequence[InstanceReport]
) -> Iterable[str]:
    if stream_error:
        yield stream_error
    if not instances:
        yield "NATS is there, but no instance answers."
    elif all(instance.not_ready for instance in instances):
        yield f"No instance takes new streams: {instances[0].not_ready}"
    elif all(instance.publish_refused for instance in instances):
        yield f"No instance can publish: {instances[0].publish_refused}."


def _degraded(
    stream: StreamHealth | None,
    instances: Sequence[InstanceReport],
    missing: Sequence[Sighting],
) -> Iterable[str]:
    if lost := [one.name for one in missing if one.missed]:
        yield f"{_named(lost)} {'does' if len(lost) == 1 else 'do'} not answer."
    waiting = [one for one in instances if one.not_ready and not one.draining]
    if waiting and len(waiting) < len(instances):
        names = _named([one.name for one in waiting])
        yield f"{names}: not ready. {waiting[0].not_ready}"
    refused = [one for one in instances if one.publish_refused]
    if refused and len(refused) < len(instances):
        names = _named([one.name for one in refused])
        yield f"{names}: cannot publish. {refused[0].publish_refused}."
    for one in instances:
        if one.waiting_since is not None and not one.not_ready:
            yield (
                f"{one.name}: "
                f"{_counted(one.waiting, 'update has', 'updates have')} waited for "
                f"{max(0, one.now - one.waiting_since):.0f} s to be delivered to it."
            )
    if full := [one.name for one in instances if is_full(one)]:
        yield f"{_named(full)}: as many subscribers as can be held."
    if stream is None:
        return
    known = {instance.instance: instance.name for instance in instances}
    if stream.consumers is None:
        yield "JetStream does not list its consumers: an instance may be behind."
    for consumer in stream.consumers or ():
        if consumer.name in known and consumer.pending > BEHIND:
            yield f"{known[consumer.name]}: {consumer.pending} updates behind."
    for setting, who in _differences(stream, instances).items():
        wanted = (
            f", as {_named(who)} {'wants' if len(who) == 1 else 'want'} it "
            f"({VARIABLES[setting.name]})"
            if who
            else ""
        )
        yield (
            f"The stream's {setting.name} is {setting.actual} instead of "
            f"{setting.expected}{wanted}."
        )
    for replica in stream.replicas:
        if replica.offline:
            yield f"The stream's replica on {replica.name} is offline."
        elif not replica.current:
            yield f"The stream's replica on {replica.name} is not up to date."
    if stream.replicas and not any(replica.leads for replica in stream.replicas):
        yield "The stream has no leader."


def _outboxes(instances: Sequence[InstanceReport]) -> Iterable[str]:
    """What waits for NATS. The same update may wait in several instances."""
    since = [one.outbox.since for one in instances if one.outbox.since is not None]
    if since:
        count = max(one.outbox.updates for one in instances)
        waiting = _counted(count, "update waits", "updates wait")
        moment = time.strftime("%H:%M", time.gmtime(min(since)))
        yield f"{waiting} for NATS since {moment} UTC."
    faults = [(one.name, one.outbox.fault) for one in instances if one.outbox.fault]
    if faults:
        names = _named([name for name, _ in faults])
        yield (
            f"{names}: what waits for NATS is kept in memory only, because "
            f"SSE_OUTBOX_FOLDER cannot be written: {faults[0][1]}."
        )


def _differences(
    stream: StreamHealth, instances: Sequence[InstanceReport]
) -> dict[Setting, list[str]]:
    """What is otherwise than it should be, and the instances that want it so: none for
    what all of them need, or where none says what it wants."""
    telling = [one for one in instances if one.stream and not one.draining]
    if not telling:
        return {setting: [] for setting in stream.differences}
    found: dict[Setting, list[str]] = {
        setting: [] for setting in stream.differences if setting.name not in VARIABLES
    }
    for one in telling:
        if one.stream is not None:
            for setting in stream.compared_with(one.stream).differences:
                if setting.name in VARIABLES:
                    found.setdefault(setting, []).append(one.name)
    return found


def _unheard(instances: Sequence[InstanceReport]) -> str:
    who = "This instance does not hear the question"
    if len(instances) == 1:
        who = "No instance answers, not even this one"
    return f"{who}: may NATS's user use flagsmith.fleet.>?"


def is_full(instance: InstanceReport) -> bool:
    return 0 < instance.subscribers_limit <= instance.subscribers


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


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED else f"{len(names)} instances"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _subscribers(instances: Sequence[InstanceReport]) -> str:
    total = sum(instance.subscribers for instance in instances)
    return _counted(total, "subscriber", "subscribers")
