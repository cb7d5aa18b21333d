"""This process's own answer about one environment."""

import time

from realtime.environments import is_environment_key
from realtime.fleet.environment.messages import (
    MOST_UPDATES,
    EnvironmentAnswer,
    HeldUpdate,
    SeenUpdate,
    StoredUpdate,
)
from realtime.fleet.messages import Sighting
from realtime.fleet.wire_types import LONGEST_TEXT
from realtime.intake.outbox import Outbox
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.sse.hub import Hub
from realtime.sse.recent_updates import RecentUpdate


def environment_answer(
    payload: bytes,
    hub: Hub,
    outbox: Outbox,
    *,
    me: Sighting,
    alive: int,
    not_ready: str | None,
) -> EnvironmentAnswer | None:
    """What `me`, the process of `hub` and `outbox`, knows of the environment whose key
    is `payload`; None if that cannot be one. `alive` and `not_ready` are as in
    `EnvironmentAnswer`."""
    environment = payload.decode(errors="replace")
    if not is_environment_key(environment):
        return None
    now = time.time()
    crowd = hub.subscribers_of(environment)
    seen, cut = hub.recent.of(environment)
    return EnvironmentAnswer(
        sighting=me,
        alive=alive,
        not_ready=not_ready and not_ready[:LONGEST_TEXT],
        subscribers=crowd.subscribers,
        visited=crowd.visited,
        clients=crowd.clients,
        lagging=crowd.lagging,
        oldest=crowd.oldest,
        newest=crowd.newest,
        latest=_latest(hub, environment),
        updates=tuple(_seen(one, now) for one in seen[:MOST_UPDATES]),
        cut=cut,
        held=_held(outbox, environment, now),
    )


def _latest(hub: Hub, environment: str) -> StoredUpdate | None:
    latest = hub.latest.of(environment)
    if latest is None:
        return None
    sequence, nanoseconds = latest.identity
    return StoredUpdate(
        updated_at=latest.update.updated_at[:LONGEST_TEXT],
        sequence=sequence,
        stored_at=nanoseconds / NANOSECONDS,
    )


def _held(outbox: Outbox, environment: str, now: float) -> HeldUpdate | None:
    kept = outbox.get(environment)
    if kept is None:
        return None
    return HeldUpdate(kept.update.updated_at[:LONGEST_TEXT], _ago(kept.since, now))


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


def _ago(then: float, now: float) -> float:
    """The clock may have been set back meanwhile."""
    return max(0.0, now - then)
