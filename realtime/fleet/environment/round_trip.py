"""A test update: published like any other, until every instance says that it has told
its subscribers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from realtime.conf import RealtimeSettings
from realtime.environments import subject_of
from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.fleet.agent import Agent
from realtime.fleet.environment.messages import (
    ENVIRONMENT,
    EnvironmentAnswer,
    SeenUpdate,
)
from realtime.fleet.survey import next_answer, survey
from realtime.jetstream.client import FastClient
from realtime.jetstream.publisher import Publisher
from realtime.jetstream.request_many import RequestMany, request_many
from realtime.updates import Update

START_SECONDS: Final = 1.0
PUBLISH_SECONDS: Final = 1.7
DELIVER_SECONDS: Final = 2.0

ROUND_SECONDS: Final = 0.25
"""For how long those that have not told yet are waited for, before they are asked once
more."""

PAUSE_SECONDS: Final = 0.02
"""Between two questions: an answer costs an instance up to 3 ms."""


class Reached(Struct, frozen=True):
    """An instance that delivered the update: to so many subscribers, and `seconds`
    after it was published, the way back included."""

    name: str
    subscribers: int
    seconds: float


class RoundTrip(Struct, frozen=True):
    """What became of a test update, dated `updated_at` (Unix seconds), where as many
    `instances` are alive as any of them knows. `silent` answer and do not say that they
    have delivered it, by name."""

    updated_at: float
    instances: int
    reached: tuple[Reached, ...]
    silent: tuple[str, ...]

    @property
    def subscribers(self) -> int:
        return sum(one.subscribers for one in self.reached)

    @property
    def seconds(self) -> float:
        """Until the last instance had told."""
        return max((one.seconds for one in self.reached), default=0.0)


Publish = Callable[[str, Update, float], Awaitable[None]]
"""As `NatsBridge.publish`."""


async def send_test_update(
    settings: RealtimeSettings,
    environment: str,
    agent: Agent | None = None,
    publish: Publish | None = None,
) -> RoundTrip:
    """Publish an update of `environment` (a valid key), dated now, and wait until every
    instance has delivered it. `agent` is this process's own, if it runs one, and
    `publish` stores an update as it does for the task processor.

    Raises `NatsUnavailable` if it was not sent, `PublishFailed` if nothing is known.
    """
    async with (
        survey(settings, agent) as asking,
        request_many(asking.client) as requests,
    ):
        there = await asking.ask_everybody(
            ENVIRONMENT, EnvironmentAnswer, environment.encode()
        )
        update = Update(f"{time.time():.6f}")
        delivery = _Delivery(update.updated_at, {a.instance: a.name for a in there})
        publish = publish or await _publisher_on(asking.client)
        delivery.began = time.monotonic()
        deadline = asyncio.get_running_loop().time() + PUBLISH_SECONDS
        try:
            await publish(environment, update, deadline)
        except NatsUnavailable as error:
            # The connection may have been lost after it was stored.
            raise PublishFailed(str(error)) from error
        with suppress(NatsUnavailable):
            await delivery.follow(requests, environment)
    return RoundTrip(
        updated_at=float(update.updated_at),
        instances=max((one.alive for one in there), default=0),
        reached=tuple(delivery.reached.values()),
        silent=tuple(delivery.silent),
    )


class _Delivery:
    """Who has told of the update `updated_at`, of the instances that have `names`."""

    def __init__(self, updated_at: str, names: dict[str, str]) -> None:
        self.began = 0.0
        """When it was published (`time.monotonic`)."""
        self.reached: dict[str, Reached] = {}
        self._updated_at = updated_at
        self._names = names
        self._sequence: int | None = None

    @property
    def silent(self) -> list[str]:
        """The names of those that have not told."""
        return [name for key, name in self._names.items() if key not in self.reached]

    async def follow(self, requests: RequestMany, environment: str) -> None:
        """Ask again and again until all have told, for `DELIVER_SECONDS` at most.
        Raises `NatsUnavailable`."""
        until = time.monotonic() + DELIVER_SECONDS
        while self.silent and (now := time.monotonic()) < until:
            await requests.send(ENVIRONMENT, environment.encode())
            await self._listen(requests, min(until, now + ROUND_SECONDS))
            if self.silent:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _listen(self, requests: RequestMany, until: float) -> None:
        """Note the answers until all have answered that have not told yet."""
        awaited = self._names.keys() - self.reached.keys()
        while awaited:
            answer = await next_answer(requests, EnvironmentAnswer, until)
            if answer is None:
                return
            self._note(answer)
            awaited.discard(answer.instance)

    def _note(self, answer: EnvironmentAnswer) -> None:
        if answer.instance not in self._names or answer.instance in self.reached:
            return
        written = self._written(answer)
        if written is not None and written.written is not None:
            # How long ago that was is by the instance's own clock: no two are compared.
            seconds = time.monotonic() - self.began - written.written
            name = self._names[answer.instance]
            self.reached[answer.instance] = Reached(
                name, written.subscribers, max(0.0, seconds)
            )

    def _written(self, answer: EnvironmentAnswer) -> SeenUpdate | None:
        """What the instance says of the update; or of the one that followed, where it
        does not remember as many."""
        for one in answer.updates:
            if one.updated_at == self._updated_at:
                self._sequence = one.sequence
                return one
        later = [
            one
            for one in answer.updates
            if self._sequence is not None and one.sequence > self._sequence
        ]
        return later[-1] if later else None


async def _publisher_on(client: FastClient) -> Publish:
    """What publishes on `client`. Raises `NatsUnavailable`."""
    publisher = Publisher(client)
    try:
        async with asyncio.timeout(START_SECONDS):
            await publisher.start()
    except TimeoutError as error:
        raise NatsUnavailable("Cannot publish: no answer in time") from error

    async def publish(environment: str, update: Update, deadline: float) -> None:
        await publisher.publish(subject_of(environment), update.payload(), deadline)

    return publish
