"""A test update: published like any other, with every instance telling of its
delivery."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import nats.errors
from msgspec import Struct

from realtime.conf import RealtimeSettings
from realtime.connection import describe
from realtime.environments import subject_of
from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.fleet.messages import EXPECT, Delivered, Expectation, Expecting, encode
from realtime.fleet.survey import ANSWER_SECONDS, Inquiry, inquiry, nats_client
from realtime.jetstream_publisher import Publisher
from realtime.nats_client import FastClient
from realtime.service import RealtimeService
from realtime.updates import Update

START_SECONDS: Final = 1.0
PUBLISH_SECONDS: Final = 1.7
DELIVER_SECONDS: Final = 2.0


class Reached(Struct, frozen=True):
    """An instance that delivered the update: to so many subscribers, and `seconds`
    after it was published, the way back included."""

    name: str
    subscribers: int
    seconds: float


class Probe(Struct, frozen=True):
    """What became of a test update, dated `updated_at` (Unix seconds), where as many
    `instances` are alive as any of them knows. `silent` wanted to tell of its delivery
    and did not, by name."""

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


async def send_test_update(
    settings: RealtimeSettings, environment: str, service: RealtimeService | None = None
) -> Probe:
    """Publish an update of `environment` (a valid key), dated now, and wait until every
    instance has delivered it. `service` is this process's own, if it runs one: it
    publishes as it does for the task processor.

    Raises `NatsUnavailable` if it was not sent, `PublishFailed` if nothing is known.
    """
    async with nats_client(settings, service) as client, inquiry(client) as question:
        update = Update(f"{time.time():.6f}")
        expectation = Expectation(environment, update.updated_at)
        await question.ask(EXPECT, encode(expectation))
        expecting = await question.collect(
            Expecting,
            lambda answers: len(answers) >= max(a.alive for a in answers),
            ANSWER_SECONDS,
        )
        names = {one.expecting: one.name for one in expecting}
        publish = service.bridge.publish if service else await _publisher_on(client)
        began = time.monotonic()
        deadline = asyncio.get_running_loop().time() + PUBLISH_SECONDS
        telling = asyncio.create_task(_reached(question, names, began))
        try:
            await publish(environment, update, deadline)
            reached = await telling
        except NatsUnavailable as error:
            # The connection may have been lost after it was stored.
            raise PublishFailed(str(error)) from error
        finally:
            telling.cancel()
    silent = [name for key, name in names.items() if key not in reached]
    return Probe(
        updated_at=float(update.updated_at),
        instances=max((one.alive for one in expecting), default=0),
        reached=tuple(reached.values()),
        silent=tuple(silent),
    )


async def _publisher_on(
    client: FastClient,
) -> Callable[[str, Update, float], Awaitable[None]]:
    """What publishes on `client`, as `NatsBridge.publish` does. Raises
    `NatsUnavailable`."""
    publisher = Publisher(client)
    try:
        async with asyncio.timeout(START_SECONDS):
            await publisher.start()
    except (nats.errors.Error, TimeoutError) as error:
        raise NatsUnavailable(f"Cannot publish: {describe(error)}") from error

    async def publish(environment: str, update: Update, deadline: float) -> None:
        await publisher.publish(subject_of(environment), update.payload(), deadline)

    return publish


async def _reached(
    question: Inquiry, names: dict[str, str], began: float
) -> dict[str, Reached]:
    reached: dict[str, Reached] = {}

    def note(answers: list[Delivered]) -> bool:
        """Called as each comes in: now is when it came."""
        one = answers[-1]
        if one.delivered in names and one.delivered not in reached:
            seconds = time.monotonic() - began
            name = names[one.delivered]
            reached[one.delivered] = Reached(name, one.subscribers, seconds)
        return len(reached) == len(names)

    if names:
        await question.collect(Delivered, note, DELIVER_SECONDS)
    return reached
