"""What is not as it should be in how JetStream holds the stream."""

from collections.abc import Iterable, Sequence
from typing import Final

from realtime.fleet.messages import InstanceReport
from realtime.fleet.units import named
from realtime.fleet.verdict.finding import Finding
from realtime.jetstream.stream_config import VARIABLES, Setting
from realtime.jetstream.stream_health import Replica, StreamHealth

BEHIND: Final = 1000
"""Updates that wait to be read: more than are on their way at any time."""

_LESS_SAFE: Final = "No application notices, unless another NATS server fails, too."


def of_stream(
    stream: StreamHealth, instances: Sequence[InstanceReport]
) -> Iterable[Finding]:
    """In the order of what an operator looks at: who reads it, how it is configured,
    where it is kept."""
    known = {instance.instance: instance.name for instance in instances}
    if stream.consumers is None:
        yield Finding(
            "JetStream does not list its consumers: an instance may be behind.",
            "If one is, its applications hear of changes late.",
            runbook="the-streams-servers",
        )
    for consumer in stream.consumers or ():
        if consumer.name in known and consumer.pending > BEHIND:
            yield Finding(
                f"{known[consumer.name]}: {consumer.pending} updates behind.",
                "Its applications hear of changes late.",
                runbook="flagsmithsseconsumerlag",
            )
    for setting, who in _differences(stream, instances).items():
        wanted = (
            f", as {named(who)} {'wants' if len(who) == 1 else 'want'} it "
            f"({VARIABLES[setting.name]})"
            if who
            else ""
        )
        yield Finding(
            f"The stream's {setting.name} is {setting.actual} instead of "
            f"{setting.expected}{wanted}.",
            "No application notices now; how many updates are kept, for how long or "
            "how safely is not what you asked for.",
            runbook="the-stream-is-configured-otherwise",
        )
    yield from _of_replicas(stream.replicas)


def _of_replicas(replicas: Sequence[Replica]) -> Iterable[Finding]:
    for replica in replicas:
        if replica.offline or not replica.current:
            yield Finding(
                f"The stream's replica on {replica.name} is "
                f"{'offline' if replica.offline else 'not up to date'}.",
                _LESS_SAFE,
                runbook="the-streams-servers",
            )
    if replicas and not any(replica.leads for replica in replicas):
        yield Finding(
            "The stream has no leader.",
            "Applications hear of no change until NATS has elected one.",
            runbook="the-streams-servers",
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
