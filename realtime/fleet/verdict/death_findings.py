"""What the verdict says of instances that died, or are fewer than expected."""

from collections.abc import Iterable, Sequence
from typing import Final

from realtime.fleet.messages import InstanceReport
from realtime.fleet.timeline.messages import Death, EventsAnswer
from realtime.fleet.units import NAMED, counted
from realtime.fleet.verdict.finding import Finding

RUNBOOK: Final = "an-instance-died"

MOST_DEAD: Final = 200
"""Of all answers together: whoever may publish on NATS may make some up, and every one
is shown."""

_CONSEQUENCE = (
    "Its clients connect again, to the other instances; those of kinds that never "
    "reconnect get no updates until they are restarted."
)


def dead_of(
    answers: Iterable[EventsAnswer], instances: Iterable[InstanceReport]
) -> tuple[Death, ...]:
    """Whom the instances take to be dead, without those that answer, and those that
    somebody has dismissed; the one that died last first."""
    found: dict[str, Death] = {}
    excused = {report.instance for report in instances}
    for answer in answers:
        excused.update(answer.dismissed)
        for death in answer.deaths:
            known = found.get(death.sighting.instance)
            if known is None or death.at > known.at:
                found[death.sighting.instance] = death
    dead = [death for name, death in found.items() if name not in excused]
    newest_first = sorted(dead, key=lambda death: death.at, reverse=True)
    return tuple(newest_first[:MOST_DEAD])


def expected_of(answers: Iterable[EventsAnswer], own: int) -> int:
    """How many instances there should be, by the settings of those that answered, and
    by this process's `own`; 0: nobody says."""
    return max([own, *(answer.expected for answer in answers)])


def hosts_of(instances: Iterable[InstanceReport]) -> int:
    """How many hosts answer and stay: the workers of one are one."""
    return len({report.host for report in instances if not report.draining})


def death_findings(
    dead: Sequence[Death], instances: Sequence[InstanceReport], expected: int
) -> Iterable[Finding]:
    """Nothing if as many hosts answer as are `expected`; else what is missing, and the
    `dead`, if any."""
    hosts = hosts_of(instances)
    if expected and hosts >= expected:
        return
    first = min((death.at for death in dead), default=None)
    if expected:
        noun = counted(expected, "expected instance", "expected instances")
        yield Finding(
            f"{hosts} of {noun} {'answers' if hosts == 1 else 'answer'}.",
            "The others carry its share of the streams.",
            first,
            RUNBOOK,
        )
    if len(dead) > NAMED:
        yield Finding(
            f"{len(dead)} instances died, and have not come back.",
            _CONSEQUENCE,
            first,
            RUNBOOK,
        )
        return
    for death in dead:
        yield Finding(
            f"{death.sighting.name} died, and has not come back.",
            _CONSEQUENCE,
            death.at,
            RUNBOOK,
        )
