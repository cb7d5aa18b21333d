"""The whole fleet at one moment: one request over NATS gathers every instance."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct, json
from nats.aio.client import Client

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.fleet import merging
from realtime.fleet.busiest import ask_counts, busiest, without_keys
from realtime.fleet.clients import ClientCount, summed
from realtime.fleet.death_findings import dead_of, death_findings, expected_of
from realtime.fleet.fleet_publishes import FleetPublishes, fleet_publishes
from realtime.fleet.history import FleetHistory
from realtime.fleet.history_survey import asked_beside, history_of
from realtime.fleet.memory import memory_of
from realtime.fleet.messages import (
    REPORT,
    Answer,
    Busy,
    InstanceReport,
    LatestUpdate,
    Sighting,
)
from realtime.fleet.minutes import History
from realtime.fleet.publish_findings import publish_findings
from realtime.fleet.roll import not_present
from realtime.fleet.stories import Story, tell
from realtime.fleet.stream_health import StreamHealth, look_at_stream
from realtime.fleet.survey import ANSWER_SECONDS, ask_everybody, nats_client, roll_of
from realtime.fleet.telling import EVENTS, Account, Death
from realtime.fleet.verdict import Verdict, judge

if TYPE_CHECKING:
    from realtime.service import RealtimeService

SHOWN: Final = 10
"""The latest updates and the busiest environments."""

LOOK_SECONDS: Final = 1.9
"""For all that NATS is asked: it must be known within 2 s that it is down."""


ACCOUNT_SECONDS: Final = 0.5
"""For what happened: an instance of an older version does not answer, and the reports
may have taken a second."""


class Totals(Struct, frozen=True):
    """Sums over the instances."""

    subscribers: int
    lagging: int
    updates_delivered: int
    rejections: int


class FleetReport(Struct, frozen=True, kw_only=True):
    """`at` is when it was made (Unix seconds) and `took` how long that took. `missing`
    were seen in the last minute and do not answer. If NATS cannot be used `nats_error`
    says why, and `instances` is at most this process: `last_known` is the last report
    that this process had of all of them before, None if it had none. If the stream
    cannot be looked at, `stream_error` says why. An environment that is not among the
    `busiest`, because no instance has named it, has `unnamed` subscribers at most. The
    `history` is complete if all `instances` have told theirs and none is missing. So
    many hosts are `expected` to answer; 0: nobody says. The `dead` died, whenever that
    was, and are expected back; `happenings` are of the last hours."""

    verdict: Verdict
    at: float
    took: float
    totals: Totals
    clients: tuple[ClientCount, ...]
    instances: tuple[InstanceReport, ...]
    missing: tuple[Sighting, ...]
    latest: tuple[LatestUpdate, ...]
    busiest: tuple[Busy, ...]
    stream: StreamHealth | None
    nats_error: str | None
    stream_error: str | None
    history: FleetHistory
    publishes: FleetPublishes | None = None
    expected: int = 0
    dead: tuple[Death, ...] = ()
    happenings: tuple[Story, ...] = ()
    unnamed: int = 0
    last_known: "FleetReport | None" = None

    @property
    def missed(self) -> int:
        """How many of the `missing` have not left on purpose."""
        return sum(one.missed for one in self.missing)


async def gather(
    settings: RealtimeSettings, service: "RealtimeService | None" = None
) -> FleetReport:
    """Ask everybody; `service` is this process's own, if it runs one. Takes two seconds
    at most, and raises nothing for what NATS does."""
    began = time.monotonic()
    roll = roll_of(service)
    me = service.reporter.me().instance if service else None
    answers: list[Answer] = []
    accounts: list[Account] = []
    histories: list[History] = []
    stream: StreamHealth | None = None
    counts: dict[str, dict[str, int]] = {}
    nats_error = stream_error = stream_unseen = None
    try:
        async with (
            asyncio.timeout(LOOK_SECONDS),
            nats_client(settings, service) as client,
            asked_beside(client, service) as histories,
        ):
            answers, (stream, stream_error, stream_unseen) = await asyncio.gather(
                _ask(client, service, accounts), _look(client, settings)
            )
            with suppress(NatsUnavailable):
                counts = await ask_counts(client, [one.report for one in answers])
    except NatsUnavailable as error:
        nats_error = str(error)
    except TimeoutError:
        # Or it was the end of the connection that hung: what was told, was told.
        if not stream and not stream_error:
            nats_error = "NATS does not answer in time."
    instances = {answer.report.instance: answer.report for answer in answers}
    unheard = False
    if service is not None and me not in instances:
        own = service.reporter.report()
        instances[own.instance] = own
        # It is connected, and does not even hear itself.
        unheard = service.agent.client is not None
        if unheard and stream_error and not answers:
            nats_error = nats_error or "NATS does not answer."
    if service is not None and all(one.instance != me for one in accounts):
        accounts.append(service.agent.chronicle.account())
    for answer in answers:
        roll.note(answer.report.sighting)
    # Who was heard of since may have started after the question.
    took = time.monotonic() - began
    seen = [sighting for sighting in roll.seen() if sighting.ago >= took]
    overdue = [sighting for answer in answers for sighting in answer.overdue]
    dismissed = {name for one in accounts for name in one.dismissed}
    missing = not_present([*seen, *overdue], dismissed.union(instances))
    present = sorted(instances.values(), key=lambda one: (one.host, one.pid))
    if stream is not None:
        stream = _as_wanted(stream, present)
    at = time.time()
    publishes = fleet_publishes(present, at)
    dead = dead_of(accounts, present)
    expected = expected_of(accounts, settings.expected_instances)
    unseen = {one.instance for one in missing}
    verdict = judge(
        now=at,
        nats_error=nats_error,
        stream_error=stream_error,
        stream_unseen=stream_unseen,
        stream=stream,
        instances=present,
        missing=missing,
        unheard=unheard,
        publish_findings=publish_findings(publishes, at),
        death_findings=death_findings(
            # For a minute a dead instance is missing, which is said already.
            [death for death in dead if death.sighting.instance not in unseen],
            present,
            expected,
        ),
    )
    most = busiest(present, counts, SHOWN)
    report = FleetReport(
        verdict=verdict,
        at=at,
        took=took,
        totals=_totals(present),
        clients=summed(one.clients for one in present),
        instances=tuple(map(without_keys, present)),
        missing=tuple(missing),
        latest=_latest(present),
        busiest=most.environments,
        unnamed=most.unnamed,
        stream=stream,
        nats_error=nats_error,
        stream_error=stream_error or stream_unseen,
        history=await history_of(
            histories,
            service,
            [*instances, *(one.instance for one in missing if one.missed)],
        ),
        publishes=publishes,
        expected=expected,
        dead=dead,
        happenings=tell(
            merging.merge(accounts, at),
            at,
            awaited=max((one.awaited for one in accounts), default=0),
        ),
    )
    return memory_of(service).note(report)


def as_json(report: Struct) -> bytes:
    """`report` as JSON that is text even where somebody takes it for HTML."""
    encoded = json.encode(report)
    for character in b"<>&":
        encoded = encoded.replace(b"%c" % character, b"\\u%04x" % character)
    return encoded


async def _ask(
    client: Client, service: "RealtimeService | None", accounts: list[Account]
) -> list[Answer]:
    """What the instances report. Then as many as have reported are asked what happened:
    their `accounts` are added."""
    answers = await ask_everybody(client, service, REPORT, Answer)
    if answers:
        await ask_everybody(
            client,
            service,
            EVENTS,
            Account,
            into=accounts,
            at_least=len(answers),
            seconds=ACCOUNT_SECONDS,
        )
    return answers


async def _look(
    client: Client, settings: RealtimeSettings
) -> tuple[StreamHealth | None, str | None, str | None]:
    """How the stream is; else what is wrong with it, or why it cannot be seen."""
    try:
        return await look_at_stream(client, settings, ANSWER_SECONDS), None, None
    except PermissionDenied as error:
        return None, None, str(error)
    except NatsUnavailable as error:
        return None, str(error), None


def _as_wanted(
    stream: StreamHealth, instances: Iterable[InstanceReport]
) -> StreamHealth:
    """`stream` by what the instances want of it, where they say so: this process may
    have other settings. If they differ, by the first that it does not satisfy."""
    wanted = dict.fromkeys(
        one.stream for one in instances if one.stream and not one.draining
    )
    compared = [stream.compared_with(one) for one in wanted]
    differing = [one for one in compared if one.differences]
    return [*differing, *compared, stream][0]


def _totals(instances: Sequence[InstanceReport]) -> Totals:
    return Totals(
        subscribers=sum(one.subscribers for one in instances),
        lagging=sum(one.lagging for one in instances),
        updates_delivered=sum(one.updates_delivered for one in instances),
        rejections=sum(one.rejections for one in instances),
    )


def _latest(instances: Sequence[InstanceReport]) -> tuple[LatestUpdate, ...]:
    """Every instance reads the same stream; one may be ahead of another."""
    by_sequence = {u.sequence: u for one in instances for u in one.latest}
    newest_first = sorted(by_sequence, reverse=True)
    return tuple(by_sequence[sequence] for sequence in newest_first[:SHOWN])
