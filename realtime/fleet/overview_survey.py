"""Everything that is asked for an overview of the fleet: of its instances, and of
JetStream."""

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import json

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.fleet.agent import Agent
from realtime.fleet.answers import Answers
from realtime.fleet.environment.busiest import (
    COUNTS,
    Counts,
    counts_by_instance,
    keys_to_count,
)
from realtime.fleet.history.minutes import HISTORY, History
from realtime.fleet.messages import REPORT, Answer
from realtime.fleet.survey import (
    ANSWER_SECONDS,
    NO_ANSWER,
    Survey,
    own_answer,
    survey_in_time,
)
from realtime.fleet.timeline.messages import EVENTS, EventsAnswer
from realtime.jetstream.client import FastClient
from realtime.jetstream.stream_health import look_at_stream

MORE_SECONDS: Final = 0.5
"""For what is asked of those that have reported. An instance of an older version does
not answer, and the reports may have taken a second."""

COUNT_SECONDS: Final = 0.25
"""For the counts of environments."""


async def survey_fleet(
    settings: RealtimeSettings, agent: Agent | None = None
) -> Answers:
    """Ask everybody; `agent` is this process's own, if it runs one. Takes two seconds
    at most, and raises nothing for what NATS does."""
    began = time.monotonic()
    answers = Answers()

    async def ask(asking: Survey) -> None:
        await asyncio.gather(
            _ask_instances(asking, answers),
            _look_at_stream(asking.client, settings, answers),
        )

    error = await survey_in_time(settings, agent, ask)
    if error != NO_ANSWER or not (answers.stream or answers.stream_error):
        answers.nats_error = error
    if agent is not None:
        _add_own(agent, answers)
    answers.took = time.monotonic() - began
    return answers


async def _ask_instances(asking: Survey, answers: Answers) -> None:
    """What the instances report, and then, of those that do, all else."""
    await asking.ask_everybody(REPORT, Answer, into=answers.reports)
    there = {answer.instance for answer in answers.reports}
    if not there:
        return
    ask = partial(asking.ask_everybody, only=there, seconds=MORE_SECONDS)
    await asyncio.gather(
        ask(EVENTS, EventsAnswer, into=answers.events),
        ask(HISTORY, History, into=answers.histories),
        _ask_counts(asking, answers),
    )


async def _ask_counts(asking: Survey, answers: Answers) -> None:
    """How many subscribers environments have on instances that do not name them."""
    keys = keys_to_count([answer.report for answer in answers.reports])
    if keys:
        there = {answer.instance for answer in answers.reports}
        with suppress(NatsUnavailable):
            payload = json.encode(keys)
            counts = await asking.ask_everybody(
                COUNTS, Counts, payload, only=there, seconds=COUNT_SECONDS
            )
            answers.counts = counts_by_instance(keys, counts, there)


async def _look_at_stream(
    client: FastClient, settings: RealtimeSettings, answers: Answers
) -> None:
    """How the stream is; else what is wrong with it, or why it cannot be seen."""
    try:
        answers.stream = await look_at_stream(client, settings, ANSWER_SECONDS)
    except PermissionDenied as error:
        answers.stream_unseen = str(error)
    except NatsUnavailable as error:
        answers.stream_error = str(error)


def _add_own(agent: Agent, answers: Answers) -> None:
    """What this process itself would have answered, where its answer is lacking."""
    if own := own_answer(agent, REPORT, Answer, answers.reports):
        answers.own = own.report
        # It is connected, and does not even hear itself.
        answers.unheard = agent.client is not None
        if answers.unheard and answers.stream_error and not answers.reports:
            answers.nats_error = answers.nats_error or "NATS does not answer."
    if events := own_answer(agent, EVENTS, EventsAnswer, answers.events):
        answers.events.append(events)
    if history := own_answer(agent, HISTORY, History, answers.histories):
        answers.histories.append(history)
