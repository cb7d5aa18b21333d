"""Makes the report of the whole fleet at one moment."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from realtime.conf import RealtimeSettings
from realtime.fleet.agent import Agent
from realtime.fleet.client_kinds import summed
from realtime.fleet.environment.busiest import busiest, without_keys
from realtime.fleet.fleet_report import FleetReport, Totals
from realtime.fleet.history.fleet_history import FleetHistory, merge
from realtime.fleet.messages import InstanceReport, LatestUpdate, Sighting
from realtime.fleet.overview_memory import OverviewMemory
from realtime.fleet.overview_survey import Answers, survey_fleet
from realtime.fleet.presence import missing_from
from realtime.fleet.publishes.fleet_publishes import FleetPublishes, fleet_publishes
from realtime.fleet.survey import presence_of
from realtime.fleet.timeline.event_text import EventText, texts_of
from realtime.fleet.timeline.merged_events import merge_events
from realtime.fleet.timeline.messages import Death, EventsAnswer
from realtime.fleet.verdict.death_findings import dead_of, death_findings, expected_of
from realtime.fleet.verdict.publish_findings import publish_findings
from realtime.fleet.verdict.verdict import Verdict, judge
from realtime.jetstream.stream_health import StreamHealth

SHOWN: Final = 10
"""The latest updates and the busiest environments."""

_memory = OverviewMemory()
"""Where no agent remembers."""


async def gather(settings: RealtimeSettings, agent: Agent | None = None) -> FleetReport:
    """Ask everybody; `agent` is this process's own, if it runs one. Takes two seconds
    at most, and raises nothing for what NATS does."""
    answers = await survey_fleet(settings, agent)
    at, present = time.time(), answers.instances
    missing = missing_from(
        (one.sighting for one in present),
        presence_of(agent),
        answers.took,
        overdue=[one for answer in answers.reports for one in answer.overdue],
        excused=[name for one in answers.events for name in one.dismissed],
    )
    if answers.stream is not None:
        answers.stream = _as_wanted(answers.stream, present)
    publishes = fleet_publishes(present, at)
    dead = dead_of(answers.events, present)
    expected = expected_of(answers.events, settings.expected_instances)
    most = busiest(present, answers.counts, SHOWN)
    report = FleetReport(
        verdict=_verdict(answers, at, missing, publishes, dead, expected),
        at=at,
        took=answers.took,
        totals=Totals.of(present),
        clients=summed(one.clients for one in present),
        instances=tuple(map(without_keys, present)),
        missing=tuple(missing),
        latest=_latest(present),
        busiest=most.environments,
        unnamed=most.unnamed,
        stream=answers.stream,
        nats_error=answers.nats_error,
        stream_error=answers.stream_error or answers.stream_unseen,
        history=await _history(answers, missing),
        publishes=publishes,
        expected=expected,
        dead=dead,
        happenings=_happenings(answers.events, at),
    )
    return (agent.overview_memory if agent else _memory).note(report)


def _happenings(answers: Sequence[EventsAnswer], at: float) -> tuple[EventText, ...]:
    awaited = max((one.awaited for one in answers), default=0)
    return texts_of(merge_events(answers, at), at, awaited=awaited)


async def _history(answers: Answers, missing: Iterable[Sighting]) -> FleetHistory:
    """It is complete if all that are here, or should be, have told theirs."""
    wanted = {one.instance for one in answers.instances}
    wanted.update(one.instance for one in missing if one.missed)
    told = {one.instance for one in answers.histories}
    complete = told >= wanted and not (answers.nats_error or answers.unheard)
    return await merge(answers.histories, time.time(), complete=complete)


def _verdict(
    answers: Answers,
    at: float,
    missing: Sequence[Sighting],
    publishes: FleetPublishes | None,
    dead: Sequence[Death],
    expected: int,
) -> Verdict:
    unseen = {one.instance for one in missing}
    return judge(
        now=at,
        nats_error=answers.nats_error,
        stream_error=answers.stream_error,
        stream_unseen=answers.stream_unseen,
        stream=answers.stream,
        instances=answers.instances,
        missing=missing,
        unheard=answers.unheard,
        publish_findings=publish_findings(publishes, at),
        death_findings=death_findings(
            # For a minute a dead instance is missing, which is said already.
            [death for death in dead if death.sighting.instance not in unseen],
            answers.instances,
            expected,
        ),
    )


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


def _latest(instances: Sequence[InstanceReport]) -> tuple[LatestUpdate, ...]:
    """Every instance reads the same stream; one may be ahead of another."""
    by_sequence = {u.sequence: u for one in instances for u in one.latest}
    newest_first = sorted(by_sequence, reverse=True)
    return tuple(by_sequence[sequence] for sequence in newest_first[:SHOWN])
