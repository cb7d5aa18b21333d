"""Whether the instances have read a probe's update: a survey over NATS, where it can be
reached from here."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Final

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.agent import Agent
from realtime.fleet.environment.messages import ENVIRONMENT, EnvironmentAnswer
from realtime.fleet.survey import Survey, survey
from realtime.probing.probe import Plan, ReadSurvey, run_probe
from realtime.probing.result import Hop, Result, took

READ_SECONDS: Final = 2.0
"""Within which all are to have read an update that is stored: it takes milliseconds."""

PAUSE_SECONDS: Final = 0.02
"""Before those that have not are asked again."""


async def probe_and_ask_instances(
    settings: RealtimeSettings, plan: Plan, agent: Agent | None = None
) -> Result:
    """A probe by `plan` that also asks the instances, where that is possible: over a
    connection made before anything is timed. `agent` is this process's own, if it
    runs one."""
    read_survey: ReadSurvey = _cannot_ask
    async with AsyncExitStack() as stack:
        with suppress(NatsUnavailable):
            asking = await stack.enter_async_context(survey(settings, agent))
            read_survey = partial(_survey, asking)
        return await run_probe(plan, read_survey)


async def _cannot_ask(environment: str, updated_at: str, sent_at: float) -> Hop:
    return Hop(name="read", text="NATS cannot be asked from here", ok=None)


async def _survey(
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
        hop = _hop_of(answers, updated_at, sent_at)
        if hop.ok is not False or time.monotonic() >= deadline:
            return hop
        await asyncio.sleep(PAUSE_SECONDS)


def _hop_of(answers: list[EnvironmentAnswer], updated_at: str, sent_at: float) -> Hop:
    now = time.monotonic()
    if not answers:
        return Hop(name="read", text="no instance answers over NATS", ok=None)
    instances = {one.instance: one for one in answers}
    found = (_seconds_since_read(one, updated_at) for one in instances.values())
    read = [seconds for seconds in found if seconds is not None]
    alive = max(len(instances), *(one.alive for one in instances.values()))
    text = f"read by {len(read)} of {alive} instance{'' if alive == 1 else 's'}"
    if len(read) < alive:
        return Hop(name="read", text=f"{text} within {READ_SECONDS:g} s", ok=False)
    # How long ago each says that it was: no two clocks are compared.
    seconds = max(0.0, now - min(read) - sent_at)
    return Hop(name="read", text=took(text, seconds), seconds=seconds)


def _seconds_since_read(answer: EnvironmentAnswer, updated_at: str) -> float | None:
    """How many seconds ago the instance had read the update, or a later one of another
    probe; None: it has not."""
    for seen in reversed(answer.updates):
        # Others may have published what is no number for the probe's environment.
        with suppress(ValueError):
            if float(seen.updated_at) >= float(updated_at):
                return seen.read
    return None
