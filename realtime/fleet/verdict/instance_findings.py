"""What is not as it should be in what the instances and JetStream say."""

import math
import time
from collections.abc import Iterable, Sequence
from typing import Final

from realtime.fleet.messages import InstanceReport, Sighting
from realtime.fleet.units import counted, named
from realtime.fleet.verdict.finding import Finding

UNTIL_NATS: Final = (
    "Applications keep the flags that they have; changes reach them when NATS is back. "
    "New streams are refused meanwhile."
)
NOT_STORED: Final = (
    "Applications keep the flags that they have, and hear of no change until this is "
    "mended."
)
NO_STREAMS: Final = (
    "Applications that connect now get no stream, and go on with the flags that they "
    "have. Open streams stay open."
)


def nats_away(error: str, instances: Sequence[InstanceReport], now: float) -> Finding:
    return Finding(
        error,
        UNTIL_NATS,
        _earliest(now, ((one, one.not_ready_since) for one in instances)),
        runbook="flagsmithssenatsdisconnected",
    )


def outages(
    stream_error: str | None, instances: Sequence[InstanceReport], now: float
) -> Iterable[Finding]:
    """Why nobody can subscribe or publish."""
    if stream_error:
        yield Finding(stream_error, NOT_STORED, runbook="the-stream-cannot-be-used")
    if not instances:
        yield Finding(
            "NATS is there, but no instance answers.",
            "If none runs, applications get no stream and hear of no change.",
            runbook="flagsmithssenoinstanceready",
        )
    elif all(instance.not_ready for instance in instances):
        moments = [moment_of(one, one.not_ready_since, now) for one in instances]
        known = [moment for moment in moments if moment is not None]
        yield Finding(
            f"No instance takes new streams: {instances[0].not_ready}",
            NO_STREAMS,
            # Since the last of them does not.
            max(known) if len(known) == len(instances) else None,
            runbook="flagsmithssenoinstanceready",
        )
    elif all(instance.publish_refused for instance in instances):
        yield Finding(
            f"No instance can publish: {instances[0].publish_refused}.",
            NOT_STORED,
            runbook="nats-refuses-publishes",
        )


def of_instances(
    instances: Sequence[InstanceReport], missing: Sequence[Sighting], now: float
) -> Iterable[Finding]:
    """Which of them fail where others do not."""
    if lost := [one for one in missing if one.missed]:
        yield Finding(
            f"{named([one.name for one in lost])} "
            f"{'does' if len(lost) == 1 else 'do'} not answer.",
            "Its applications connect again, to another instance, unless it only "
            "cannot reach NATS.",
            max(0.0, now - max(one.ago for one in lost)),
            runbook="an-instance-does-not-answer",
        )
    yield from _not_ready(instances, now)
    yield from _late(instances, now)
    if full := [one.name for one in instances if is_full(one)]:
        yield Finding(
            f"{named(full)}: as many subscribers as can be held.",
            "Applications that come to it get no stream; those that have one are not "
            "affected.",
            runbook="flagsmithssesubscribersnearlimit",
        )


def _not_ready(instances: Sequence[InstanceReport], now: float) -> Iterable[Finding]:
    """Who takes no streams, or no publishes, where others do."""
    waiting = [one for one in instances if one.not_ready and not one.draining]
    if waiting and len(waiting) < len(instances):
        yield Finding(
            f"{named([one.name for one in waiting])}: not ready. "
            f"{waiting[0].not_ready}",
            "The applications on its open streams hear of changes when it is ready "
            "again; new ones go to the other instances.",
            _earliest(now, ((one, one.not_ready_since) for one in waiting)),
            runbook="flagsmithssenotready",
        )
    refused = [one for one in instances if one.publish_refused]
    if refused and len(refused) < len(instances):
        yield Finding(
            f"{named([one.name for one in refused])}: cannot publish. "
            f"{refused[0].publish_refused}.",
            "Changes that Flagsmith brings to it reach no application until it can.",
            runbook="nats-refuses-publishes",
        )


def _late(instances: Sequence[InstanceReport], now: float) -> Iterable[Finding]:
    """To whom JetStream does not deliver."""
    for one in instances:
        if one.waiting_since is not None and not one.not_ready:
            yield Finding(
                f"{one.name}: "
                f"{counted(one.waiting, 'update has', 'updates have')} waited for "
                f"{max(0, one.now - one.waiting_since):.0f} s to be delivered to it.",
                "Its applications hear of these changes late.",
                moment_of(one, one.waiting_since, now),
                runbook="flagsmithsseconsumerlag",
            )


def outboxes(instances: Sequence[InstanceReport], now: float) -> Iterable[Finding]:
    """What waits for NATS. The same update may wait in several instances."""
    since = [one.outbox.since for one in instances if one.outbox.since is not None]
    if since:
        count = max(one.outbox.updates for one in instances)
        waiting = counted(count, "update waits", "updates wait")
        moment = time.strftime("%H:%M", time.gmtime(min(since)))
        yield Finding(
            f"{waiting} for NATS since {moment} UTC.",
            "Nobody has been told of these changes yet; they are stored when NATS is "
            "back.",
            _earliest(now, ((one, one.outbox.since) for one in instances)),
            runbook="flagsmithsseupdateswaiting",
        )
    faults = [(one.name, one.outbox.fault) for one in instances if one.outbox.fault]
    if faults:
        yield Finding(
            f"{named([name for name, _ in faults])}: what waits for NATS is kept in "
            "memory only, because SSE_OUTBOX_FOLDER cannot be written: "
            f"{faults[0][1]}.",
            "No application notices, unless such an instance ends while NATS is away.",
            runbook="flagsmithsseoutboxinmemory",
        )


def unseen(reason: str) -> Finding:
    return Finding(
        f"The stream is not watched: {reason}",
        "No application notices.",
        runbook="the-stream-is-not-watched",
    )


def unheard(instances: Sequence[InstanceReport]) -> Finding:
    who = "This instance does not hear the question"
    if len(instances) == 1:
        who = "No instance answers, not even this one"
    return Finding(
        f"{who}: may NATS's user use flagsmith.fleet.>?",
        "No application notices: only this page knows less than it could.",
        runbook="instances-cannot-be-asked",
    )


def is_full(instance: InstanceReport) -> bool:
    return 0 < instance.subscribers_limit <= instance.subscribers


def moment_of(one: InstanceReport, then: float | None, now: float) -> float | None:
    """What `one` calls `then` by its own clock, by the clock that shows `now`."""
    if then is None or not math.isfinite(one.now - then):
        return None
    return max(0.0, now - max(0.0, one.now - then))


def _earliest(
    now: float, moments: Iterable[tuple[InstanceReport, float | None]]
) -> float | None:
    found = (moment_of(one, then, now) for one, then in moments)
    return min((moment for moment in found if moment is not None), default=None)
