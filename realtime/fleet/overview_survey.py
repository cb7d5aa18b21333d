"""Everything that is asked for an overview of the fleet: of its instances, and of
JetStream."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from msgspec import json

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.fleet.agent import Agent
from realtime.fleet.environment.busiest import (
    COUNTS,
    Counts,
    counts_by_instance,
    keys_to_count,
)
from realtime.fleet.history.minutes import HISTORY, History
from realtime.fleet.messages import REPORT, Answer, InstanceReport
from realtime.fleet.survey import ANSWER_SECONDS, Survey, own_answer, survey
from realtime.fleet.timeline.messages import EVENTS, EventsAnswer
from realtime.jetstream.client import FastClient
from realtime.jetstream.stream_health import StreamHealth, look_at_stream

LOOK_SECONDS: Final = 1.9
"""For all that NATS is asked: it must be known within 2 s that it is down."""

MORE_SECONDS: Final = 0.5
"""For what is asked of those that have reported. An instance of an older version does
not answer, and the reports may have taken a second."""

COUNT_SECONDS: Final = 0.25
"""For the counts of environments."""

NO_ANSWER: Final = "NATS does not answer in time."


@dataclass
class Answers:
    """Answers to everything that was asked, those of this process included. If NATS
    cannot be used `nats_error` says why, and only this process has answered. The stream
    is as `stream` says, or `stream_error` says what is wrong with it, or
    `stream_unseen` why we may not look. `unheard`: this process is connected and does
    not hear itself. `counts` are, by instance, the subscribers of environments that
    `reports` name. It all `took` so many seconds."""

    reports: list[Answer] = field(default_factory=list)
    own: InstanceReport | None = None
    events: list[EventsAnswer] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    stream: StreamHealth | None = None
    stream_error: str | None = None
    stream_unseen: str | None = None
    nats_error: str | None = None
    unheard: bool = False
    took: float = 0.0

    @property
    def instances(self) -> list[InstanceReport]:
        """A report of each, by host."""
        reports = {answer.instance: answer.report for answer in self.reports}
        if self.own is not None:
            reports.setdefault(self.own.instance, self.own)
        return sorted(reports.values(), key=lambda one: (one.host, one.pid))


async def survey_fleet(
    settings: RealtimeSettings, agent: Agent | None = None
) -> Answers:
    """Ask everybody; `agent` is this process's own, if it runs one. Takes two seconds
    at most, and raises nothing for what NATS does."""
    began = time.monotonic()
    answers = Answers()
    try:
        async with (
            asyncio.timeout(LOOK_SECONDS),
            survey(settings, agent) as asking,
        ):
            await asyncio.gather(
                _ask_instances(asking, answers),
                _look_at_stream(asking.client, settings, answers),
            )
    except NatsUnavailable as error:
        answers.nats_error = str(error)
    except TimeoutError:
        # Or it was the end of the connection that hung: what was told, was told.
        if not answers.stream and not answers.stream_error:
            answers.nats_error = NO_ANSWER
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
