"""Whether the instances have read a probe's update: asked over NATS, where it can be
reached from here."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.agent import Agent
from realtime.fleet.environment.messages import ENVIRONMENT, EnvironmentAnswer
from realtime.fleet.survey import Survey, survey
from realtime.probing.probe import Readers
from realtime.probing.result import Hop, took

READ_SECONDS: Final = 2.0
"""Within which all are to have read an update that is stored: it takes milliseconds."""

PAUSE_SECONDS: Final = 0.02
"""Before those that have not are asked again."""


@asynccontextmanager
async def asked_over_nats(
    settings: RealtimeSettings, agent: Agent | None = None
) -> AsyncIterator[Readers]:
    """What asks the instances, over a connection that is made before anything is timed;
    `agent` is this process's own, if it runs one."""
    async with AsyncExitStack() as stack:
        try:
            asking = await stack.enter_async_context(survey(settings, agent))
        except NatsUnavailable:
            yield _cannot_ask
        else:
            yield partial(_ask, asking)


async def _cannot_ask(environment: str, updated_at: str, sent_at: float) -> Hop:
    return Hop(name="read", text="NATS cannot be asked from here", ok=None)


async def _ask(
    asking: Survey,
    environment: str,
    updated_at: str,
    sent_at: float,
) -> Hop:
    deadline = time.monotonic() + READ_SECONDS
    while True:
        try:
            answers = await asking.ask_everybody(
                ENVIRONMENT, EnvironmentAnswer, environment.encode()
            )
        except NatsUnavailable:
            return await _cannot_ask(environment, updated_at, sent_at)
        hop = _summed_up(answers, updated_at, sent_at)
        if hop.ok is not False or time.monotonic() >= deadline:
            return hop
        await asyncio.sleep(PAUSE_SECONDS)


def _summed_up(
    answers: list[EnvironmentAnswer], updated_at: str, sent_at: float
) -> Hop:
    now = time.monotonic()
    if not answers:
        return Hop(name="read", text="no instance answers over NATS", ok=None)
    instances = {one.instance: one for one in answers}
    read = [
        seconds
        for one in instances.values()
        if (seconds := _read(one, updated_at)) is not None
    ]
    alive = max(len(instances), *(one.alive for one in instances.values()))
    text = f"read by {len(read)} of {alive} instance{'' if alive == 1 else 's'}"
    if len(read) < alive:
        return Hop(name="read", text=f"{text} within {READ_SECONDS:g} s", ok=False)
    # How long ago each says that it was: no two clocks are compared.
    seconds = max(0.0, now - min(read) - sent_at)
    return Hop(name="read", text=took(text, seconds), seconds=seconds)


def _read(answer: EnvironmentAnswer, updated_at: str) -> float | None:
    """How many seconds ago the instance had read the update, or a later one of another
    probe; None: it has not."""
    return next(
        (
            seen.read
            for seen in reversed(answer.updates)
            if seen.updated_at == updated_at
            or _unix(seen.updated_at) > _unix(updated_at)
        ),
        None,
    )


def _unix(updated_at: str) -> float:
    """An update's time; what is no number is earlier than any."""
    try:
        return float(updated_at)
    except ValueError:
        return float("-inf")
