"""One environment on all instances: who is subscribed, and who was told of what."""

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.client_kinds import ClientCount, summed
from realtime.fleet.environment.answer import environment_answer
from realtime.fleet.environment.messages import (
    ENVIRONMENT,
    MOST_UPDATES,
    EnvironmentAnswer,
    StoredUpdate,
)
from realtime.fleet.messages import Sighting
from realtime.fleet.overview_survey import LOOK_SECONDS
from realtime.fleet.presence import not_present
from realtime.fleet.survey import ask_everybody, nats_client, roll_of
from realtime.service import RealtimeService

NOBODY: Final = (
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
    settings: RealtimeSettings, key: str, service: RealtimeService | None = None
) -> EnvironmentReport:
    """Ask everybody about the environment `key`, a valid one; `service` is this
    process's own, if it runs one. Takes two seconds at most, changes nothing, and
    raises nothing for what NATS does."""
    at, began = time.time(), time.monotonic()
    roll = roll_of(service)
    answers: list[EnvironmentAnswer] = []
    nats_error = None
    try:
        async with (
            asyncio.timeout(LOOK_SECONDS),
            nats_client(settings, service) as client,
        ):
            answers = await ask_everybody(
                client, service, ENVIRONMENT, EnvironmentAnswer, key.encode()
            )
    except NatsUnavailable as error:
        nats_error = str(error)
    except TimeoutError:
        # Or it was the end of the connection that hung.
        if not answers:
            nats_error = "NATS does not answer in time."
    instances = {answer.instance: answer for answer in answers}
    if service is not None:
        own = environment_answer(service, key.encode())
        if own is not None:
            instances.setdefault(own.instance, own)
    for answer in answers:
        roll.note(answer.sighting)
    took = time.monotonic() - began
    # Who was heard of since may have started after the question.
    seen = [sighting for sighting in roll.seen() if sighting.ago >= took]
    present = sorted(
        instances.values(), key=lambda one: (one.sighting.host, one.sighting.pid)
    )
    return _merged(key, at, took, present, not_present(seen, instances), nats_error)


def _merged(
    key: str,
    at: float,
    took: float,
    instances: Collection[EnvironmentAnswer],
    missing: Iterable[Sighting],
    nats_error: str | None,
) -> EnvironmentReport:
    latest = [one.latest for one in instances if one.latest is not None]
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
        oldest=max(
            (one.oldest for one in instances if one.oldest is not None), default=None
        ),
        newest=min(
            (one.newest for one in instances if one.newest is not None), default=None
        ),
        latest=max(latest, key=lambda one: one.sequence, default=None),
        updates=_updates(instances),
        cut=any(one.cut for one in instances),
    )


def _updates(instances: Iterable[EnvironmentAnswer]) -> tuple[ToldUpdate, ...]:
    """The newest updates that any of them has read."""
    by_sequence: dict[int, ToldUpdate] = {}
    for instance in instances:
        for seen in instance.updates:
            known = by_sequence.get(seen.sequence)
            written = [
                ago
                for ago in (seen.written, known.written if known else None)
                if ago is not None
            ]
            by_sequence[seen.sequence] = ToldUpdate(
                updated_at=seen.updated_at,
                sequence=seen.sequence,
                stored_at=seen.stored_at,
                readers=1 + (known.readers if known else 0),
                writers=(seen.written is not None) + (known.writers if known else 0),
                subscribers=seen.subscribers + (known.subscribers if known else 0),
                written=min(written, default=None),
            )
    newest_first = sorted(by_sequence, reverse=True)[:MOST_UPDATES]
    return tuple(by_sequence[sequence] for sequence in newest_first)
