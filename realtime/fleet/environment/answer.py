"""This process's own answer about one environment."""

import time
from typing import TYPE_CHECKING

from realtime.environments import is_environment_key
from realtime.fleet.environment.messages import (
    MOST_UPDATES,
    EnvironmentAnswer,
    HeldUpdate,
    SeenUpdate,
    StoredUpdate,
)
from realtime.fleet.messages import LONGEST_TEXT
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.sse.recent_updates import RecentUpdate

if TYPE_CHECKING:
    from realtime.service import RealtimeService


def environment_answer(
    service: "RealtimeService", payload: bytes
) -> EnvironmentAnswer | None:
    """What `service` knows of the environment whose key is `payload`; None if that
    cannot be one."""
    environment = payload.decode(errors="replace")
    if not is_environment_key(environment):
        return None
    hub, now = service.hub, time.time()
    crowd = hub.subscribers_of(environment)
    seen, cut = hub.recent.of(environment)
    not_ready = service.not_ready
    return EnvironmentAnswer(
        sighting=service.reporter.me(),
        alive=service.agent.roll.alive(),
        not_ready=not_ready.detail[:LONGEST_TEXT] if not_ready else None,
        subscribers=crowd.subscribers,
        visited=crowd.visited,
        clients=crowd.clients,
        lagging=crowd.lagging,
        oldest=crowd.oldest,
        newest=crowd.newest,
        latest=_latest(service, environment),
        updates=tuple(_seen(one, now) for one in seen[:MOST_UPDATES]),
        cut=cut,
        held=_held(service, environment, now),
    )


def _latest(service: "RealtimeService", environment: str) -> StoredUpdate | None:
    latest = service.hub.latest.of(environment)
    if latest is None:
        return None
    sequence, nanoseconds = latest.identity
    return StoredUpdate(
        updated_at=latest.update.updated_at[:LONGEST_TEXT],
        sequence=sequence,
        stored_at=nanoseconds / NANOSECONDS,
    )


def _seen(seen: RecentUpdate, now: float) -> SeenUpdate:
    sequence, nanoseconds = seen.identity
    return SeenUpdate(
        updated_at=seen.updated_at,
        sequence=sequence,
        stored_at=nanoseconds / NANOSECONDS,
        read=_ago(seen.read_at, now),
        written=None if seen.written_at is None else _ago(seen.written_at, now),
        subscribers=seen.subscribers,
    )


def _held(
    service: "RealtimeService", environment: str, now: float
) -> HeldUpdate | None:
    kept = service.intake.outbox.get(environment)
    if kept is None:
        return None
    return HeldUpdate(kept.update.updated_at[:LONGEST_TEXT], _ago(kept.since, now))


def _ago(then: float, now: float) -> float:
    """The clock may have been set back meanwhile."""
    return max(0.0, now - then)
