"""One environment on all instances: who is subscribed, and who was told of what."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from msgspec import Struct

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.agent import Agent
from realtime.fleet.client_kinds import ClientCount, summed
from realtime.fleet.environment.messages import (
    ENVIRONMENT,
    MOST_UPDATES,
    EnvironmentAnswer,
    SeenUpdate,
    StoredUpdate,
)
from realtime.fleet.messages import Sighting
from realtime.fleet.overview_survey import LOOK_SECONDS, NO_ANSWER
from realtime.fleet.presence import missing_from
from realtime.fleet.survey import own_answer, presence_of, survey

NOBODY = (
    "Nobody is subscribed to this environment, and no update of it was stored in the "
    "past hour: is the key right?"
)


class ToldUpdate(StoredUpdate, frozen=True, kw_only=True):
    """An update of the environment and what became of it: `readers` instances have read
    it, of which `writers` have told all of their subscribers, so many `subscribers`
    together, the last of them `written` seconds before `EnvironmentReport.at`."""

    readers: int
    writers: int
    subscribers: int
    written: float | None


class EnvironmentReport(Struct, frozen=True, kw_only=True):
    """`at` is when the instances were asked (Unix seconds), `took` how long it took.

    `missing` were seen in the last minute and do not answer. If NATS cannot be used
    `nats_error` says why, and `instances` is at most this process. `visited` and `cut`
    are as in `EnvironmentAnswer`, of all instances together; so are `oldest` and
    `newest`.
    """

    environment: str
    at: float
    took: float
    instances: tuple[EnvironmentAnswer, ...]
    missing: tuple[Sighting, ...]
    nats_error: str | None
    subscribers: int
    visited: int
    clients: tuple[ClientCount, ...]
    lagging: int
    oldest: float | None
    newest: float | None
    latest: StoredUpdate | None
    updates: tuple[ToldUpdate, ...]
    cut: bool

    @property
    def held(self) -> bool:
        """Whether an update of it waits until NATS can store it."""
        return any(one.held for one in self.instances)

    @property
    def unknown(self) -> str | None:
        """Said of a key of which nobody has heard; None if somebody has, or if somebody
        who may have could not be asked."""
        heard = self.subscribers or self.latest or self.updates or self.held
        asked = self.instances and not self.nats_error
        silent = any(one.missed for one in self.missing)
        return NOBODY if asked and not silent and not heard else None


async def survey_environment(
    settings: RealtimeSettings, key: str, agent: Agent | None = None
) -> EnvironmentReport:
    """Ask everybody about the environment `key`, a valid one; `agent` is this process's
    own, if it runs one. Takes two seconds at most, changes nothing, and raises nothing
    for what NATS does."""
    at, began = time.time(), time.monotonic()
    question = ENVIRONMENT, EnvironmentAnswer
    answers: list[EnvironmentAnswer] = []
    nats_error = None
    try:
        async with (
            asyncio.timeout(LOOK_SECONDS),
            survey(settings, agent) as asking,
        ):
            await asking.ask_everybody(*question, key.encode(), into=answers)
    except NatsUnavailable as error:
        nats_error = str(error)
    except TimeoutError:
        # Or it was the end of the connection that hung.
        nats_error = None if answers else NO_ANSWER
    if own := own_answer(agent, *question, answers, key.encode()):
        answers.append(own)
    took = time.monotonic() - began
    sightings = (one.sighting for one in answers)
    missing = missing_from(sightings, presence_of(agent), took)
    by_name = {one.instance: one for one in answers}
    instances = sorted(
        by_name.values(), key=lambda one: (one.sighting.host, one.sighting.pid)
    )
    return _report(key, at, took, instances, missing, nats_error)


def _report(
    key: str,
    at: float,
    took: float,
    instances: Sequence[EnvironmentAnswer],
    missing: Iterable[Sighting],
    nats_error: str | None,
) -> EnvironmentReport:
    latest = [one.latest for one in instances if one.latest is not None]
    oldest = [one.oldest for one in instances if one.oldest is not None]
    newest = [one.newest for one in instances if one.newest is not None]
    return EnvironmentReport(
        environment=key,
        at=at,
        took=took,
        instances=tuple(instances),
        missing=tuple(missing),
        nats_error=nats_error,
        subscribers=sum(one.subscribers for one in instances),
        visited=sum(one.visited for one in instances),
        clients=summed(one.clients for one in instances),
        lagging=sum(one.lagging for one in instances),
        oldest=max(oldest, default=None),
        newest=min(newest, default=None),
        latest=max(latest, key=lambda one: one.sequence, default=None),
        updates=_updates(instances),
        cut=any(one.cut for one in instances),
    )


def _updates(instances: Iterable[EnvironmentAnswer]) -> tuple[ToldUpdate, ...]:
    """The newest updates that any of them has read."""
    by_sequence: dict[int, list[SeenUpdate]] = {}
    for instance in instances:
        for update in instance.updates:
            by_sequence.setdefault(update.sequence, []).append(update)
    newest_first = sorted(by_sequence, reverse=True)[:MOST_UPDATES]
    return tuple(_told(by_sequence[sequence]) for sequence in newest_first)


def _told(seen: Sequence[SeenUpdate]) -> ToldUpdate:
    """One update as several instances have `seen` it."""
    written = [one.written for one in seen if one.written is not None]
    return ToldUpdate(
        updated_at=seen[-1].updated_at,
        sequence=seen[-1].sequence,
        stored_at=seen[-1].stored_at,
        readers=len(seen),
        writers=len(written),
        subscribers=sum(one.subscribers for one in seen),
        written=min(written, default=None),
    )
