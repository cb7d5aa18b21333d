"""What is heard of the whole fleet within one look: from its instances, and from
JetStream."""

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nats.aio.client import Client

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.fleet.environment.busiest import ask_counts
from realtime.fleet.history.minutes import History
from realtime.fleet.history.survey import asked_beside
from realtime.fleet.messages import REPORT, Answer, InstanceReport, Sighting
from realtime.fleet.presence import not_present
from realtime.fleet.survey import ANSWER_SECONDS, ask_everybody, nats_client, roll_of
from realtime.fleet.timeline.messages import EVENTS, Account
from realtime.jetstream.stream_health import StreamHealth, look_at_stream

if TYPE_CHECKING:
    from realtime.service import RealtimeService

LOOK_SECONDS: Final = 1.9
"""For all that NATS is asked: it must be known within 2 s that it is down."""

ACCOUNT_SECONDS: Final = 0.5
"""For what happened: an instance of an older version does not answer, and the reports
may have taken a second."""


@dataclass
class Heard:
    """Answers to everything that was asked, those of this process included. If NATS
    cannot be used `nats_error` says why, and only this process has answered. The stream
    is as `stream` says, or `stream_error` says what is wrong with it, or
    `stream_unseen` why we may not look. `unheard`: this process is connected and does
    not hear itself. It all `took` so many seconds."""

    answers: list[Answer] = field(default_factory=list)
    own: InstanceReport | None = None
    accounts: list[Account] = field(default_factory=list)
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
        reports = {answer.instance: answer.report for answer in self.answers}
        if self.own is not None:
            reports.setdefault(self.own.instance, self.own)
        return sorted(reports.values(), key=lambda one: (one.host, one.pid))


async def hear(
    settings: RealtimeSettings, service: "RealtimeService | None" = None
) -> Heard:
    """Ask everybody; `service` is this process's own, if it runs one. Takes two seconds
    at most, and raises nothing for what NATS does."""
    began = time.monotonic()
    heard = Heard()
    try:
        async with (
            asyncio.timeout(LOOK_SECONDS),
            nats_client(settings, service) as client,
            asked_beside(client, service) as heard.histories,
        ):
            await asyncio.gather(
                _ask(client, service, heard), _look(client, settings, heard)
            )
            with suppress(NatsUnavailable):
                reports = [answer.report for answer in heard.answers]
                heard.counts = await ask_counts(client, reports)
    except NatsUnavailable as error:
        heard.nats_error = str(error)
    except TimeoutError:
        # Or it was the end of the connection that hung: what was told, was told.
        if not heard.stream and not heard.stream_error:
            heard.nats_error = "NATS does not answer in time."
    if service is not None:
        _add_own(service, heard)
    heard.took = time.monotonic() - began
    return heard


def missing_from(
    heard: Heard, service: "RealtimeService | None", excused: Collection[str]
) -> list[Sighting]:
    """Who was seen in the last minute and has not answered, but for the `excused`."""
    roll = roll_of(service)
    for answer in heard.answers:
        roll.note(answer.report.sighting)
    # Who was heard of since may have started after the question.
    seen = [sighting for sighting in roll.seen() if sighting.ago >= heard.took]
    overdue = [sighting for answer in heard.answers for sighting in answer.overdue]
    present = {one.instance for one in heard.instances}
    return not_present([*seen, *overdue], present.union(excused))


def _add_own(service: "RealtimeService", heard: Heard) -> None:
    """What this process itself would have answered, where its answer is lacking."""
    me = service.reporter.me().instance
    if all(answer.instance != me for answer in heard.answers):
        heard.own = service.reporter.report()
        # It is connected, and does not even hear itself.
        heard.unheard = service.agent.client is not None
        if heard.unheard and heard.stream_error and not heard.answers:
            heard.nats_error = heard.nats_error or "NATS does not answer."
    if all(account.instance != me for account in heard.accounts):
        heard.accounts.append(service.agent.chronicle.account())


async def _ask(client: Client, service: "RealtimeService | None", heard: Heard) -> None:
    """What the instances report. Then as many as have reported are asked what
    happened."""
    await ask_everybody(client, service, REPORT, Answer, into=heard.answers)
    if heard.answers:
        await ask_everybody(
            client,
            service,
            EVENTS,
            Account,
            into=heard.accounts,
            at_least=len(heard.answers),
            seconds=ACCOUNT_SECONDS,
        )


async def _look(client: Client, settings: RealtimeSettings, heard: Heard) -> None:
    """How the stream is; else what is wrong with it, or why it cannot be seen."""
    try:
        heard.stream = await look_at_stream(client, settings, ANSWER_SECONDS)
    except PermissionDenied as error:
        heard.stream_unseen = str(error)
    except NatsUnavailable as error:
        heard.stream_error = str(error)
