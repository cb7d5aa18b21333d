"""The verdict on every kind of finding."""

from typing import Any

import msgspec
import pytest

from realtime.fleet.messages import OutboxReport, Sighting
from realtime.fleet.verdict.stream_findings import BEHIND
from realtime.fleet.verdict.verdict import judge, state_of
from realtime.jetstream.stream_config import Setting, StreamSettings
from realtime.jetstream.stream_health import Consumer, Replica, StreamHealth
from tests.support.simulated_fleet import made_up

ONE, TWO = made_up(1), made_up(2)
UNREADY = {"not_ready": "NATS is not connected."}
LOST = Sighting(instance="x", host="host", pid=7, worker=1)
STREAM = StreamHealth(
    name="environments-stream",
    settings=(Setting("storage", '"file"', '"file"'),),
    messages=1,
    bytes=100,
    last_sequence=1,
    replicas=(),
    consumers=(Consumer(ONE.instance, 0, 0),),
)
LEADER = Replica("nats-1", leads=True, current=True, offline=False, lag=0)


def stream(**fields: object) -> StreamHealth:
    return msgspec.structs.replace(STREAM, **fields)


NOW = 1_800_000_000.0
WELL = {
    "now": NOW,
    "nats_error": None,
    "stream_error": None,
    "stream": STREAM,
    "instances": [ONE, TWO],
    "missing": [],
    "unheard": False,
}

CASES: dict[str, tuple[dict[str, object], str, list[str]]] = {
    # what it is: what is different, the level, how each reason begins
    "well": ({}, "well", ["2 instances serve 20 subscribers."]),
    "one alone": (
        {"instances": [made_up(1, subscribers=1)]},
        "well",
        ["1 instance serves 1 subscriber."],
    ),
    "one draining": (
        {"instances": [ONE, made_up(2, draining=True, **UNREADY)]},
        "well",
        ["1 instance serves 20 subscribers."],
    ),
    "one that was shutting down is gone": (
        {"missing": [msgspec.structs.replace(LOST, draining=True)]},
        "well",
        ["2 instances serve"],
    ),
    "updates wait for NATS": (
        {
            "instances": [
                made_up(1, outbox=OutboxReport(3, since=68640.0)),
                made_up(2, outbox=OutboxReport(1, since=68700.0)),
            ]
        },
        "degraded",
        ["3 updates wait for NATS since 19:04 UTC."],
    ),
    "what waits is in memory only": (
        {"instances": [made_up(1, outbox=OutboxReport(fault="disk full")), TWO]},
        "degraded",
        [
            f"{ONE.name}: what waits for NATS is kept in memory only, because "
            "SSE_OUTBOX_FOLDER cannot be written: disk full."
        ],
    ),
    "one missing": (
        {"missing": [LOST]},
        "degraded",
        ["host (7, worker 1) does not answer."],
    ),
    "many missing": ({"missing": [LOST] * 4}, "degraded", ["4 instances do not"]),
    "one not ready": (
        {"instances": [ONE, made_up(2, **UNREADY)]},
        "degraded",
        ["host-2 (1002): not ready. NATS is not connected."],
    ),
    "one full": (
        {"instances": [ONE, made_up(2, subscribers=1000)]},
        "degraded",
        ["host-2 (1002): as many subscribers as can be held."],
    ),
    "one behind": (
        {"stream": stream(consumers=(Consumer(ONE.instance, BEHIND + 1, 0),))},
        "degraded",
        ["host-1 (1001): 1001 updates behind."],
    ),
    "one that may not publish": (
        {"instances": [ONE, made_up(2, publish_refused="NATS says no")]},
        "degraded",
        ["host-2 (1002): cannot publish. NATS says no."],
    ),
    "nobody may publish": (
        {"instances": [made_up(1, publish_refused="NATS says no")]},
        "down",
        ["No instance can publish: NATS says no."],
    ),
    "stream may not be looked at": (
        {"stream": None, "stream_unseen": "NATS says no."},
        "degraded",
        ["The stream is not watched: NATS says no."],
    ),
    "one to which nothing is delivered": (
        {"instances": [ONE, made_up(2, waiting=1, now=9.0, waiting_since=4.0)]},
        "degraded",
        ["host-2 (1002): 1 update has waited for 5 s to be delivered to it."],
    ),
    "somebody else's consumer behind": (
        {"stream": stream(consumers=(Consumer("mine", BEHIND + 1, 0),))},
        "well",
        ["2 instances serve"],
    ),
    "no word of the consumers": (
        {"stream": stream(consumers=None)},
        "degraded",
        ["JetStream does not list its consumers"],
    ),
    "other configuration": (
        {"stream": stream(settings=(Setting("storage", '"file"', '"memory"'),))},
        "degraded",
        ['The stream\'s storage is "memory" instead of "file".'],
    ),
    "one instance wants it otherwise": (
        {
            "stream": stream(settings=(Setting("num_replicas", "1", "1"),)),
            "instances": [
                made_up(1, stream=StreamSettings("file", 1, 3600)),
                made_up(2, stream=StreamSettings("file", 3, 3600)),
            ],
        },
        "degraded",
        [
            "The stream's num_replicas is 1 instead of 3, as host-2 (1002) wants it "
            "(NATS_STREAM_REPLICAS)."
        ],
    ),
    "replica offline": (
        {"stream": stream(replicas=(LEADER, Replica("b", False, False, True, 9)))},
        "degraded",
        ["The stream's replica on b is offline."],
    ),
    "replica behind": (
        {"stream": stream(replicas=(LEADER, Replica("b", False, False, False, 9)))},
        "degraded",
        ["The stream's replica on b is not up to date."],
    ),
    "no leader": (
        {"stream": stream(replicas=(Replica("b", False, True, False, 0),))},
        "degraded",
        ["The stream has no leader."],
    ),
    "nobody heard": (
        {"instances": [ONE], "unheard": True},
        "degraded",
        ["No instance answers, not even this one: may NATS's user use"],
    ),
    "only others heard": (
        {"unheard": True},
        "degraded",
        ["This instance does not hear the question: may NATS's user use"],
    ),
    "nobody ready": (
        {"instances": [made_up(1, **UNREADY)]},
        "down",
        ["No instance takes new streams: NATS is not connected."],
    ),
    "nobody there": ({"instances": []}, "down", ["NATS is there, but no instance"]),
    "no stream": (
        {"stream": None, "stream_error": "There is no stream."},
        "down",
        ["There is no stream."],
    ),
    "no NATS": (
        {"nats_error": "Cannot connect.", "missing": [LOST], "instances": []},
        "down",
        ["Cannot connect."],
    ),
    "down and degraded": (
        {"instances": [], "missing": [LOST]},
        "down",
        ["NATS is there, but no instance", "host (7, worker 1) does not answer."],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_judge__every_finding__word_and_reasons(case: str) -> None:
    # Given
    different, level, beginnings = CASES[case]

    # When
    verdict = judge(**{**WELL, **different})  # type: ignore[arg-type]  # by name

    # Then
    assert verdict.level == level
    assert len(verdict.reasons) == len(beginnings)
    for reason, beginning in zip(verdict.reasons, beginnings, strict=True):
        assert reason.startswith(beginning)
    if level != "well":
        # what applications notice, and what to do
        assert all(one.consequence and one.runbook for one in verdict.findings)


AGES: dict[str, tuple[dict[str, object], float | None]] = {
    # what it is: what is different, and for how many seconds it has been so
    "well": ({}, None),
    "unknown": ({"instances": [ONE, made_up(2, subscribers=1000)]}, None),
    "NATS away": (
        {
            "nats_error": "Cannot connect.",
            "instances": [made_up(1, now=50.0, not_ready_since=20.0, **UNREADY)],
        },
        30,
    ),
    "missing": ({"missing": [LOST, msgspec.structs.replace(LOST, ago=9)]}, 9),
    "not ready, by a clock that is wrong": (
        {"instances": [ONE, made_up(2, now=5.0, not_ready_since=1.0, **UNREADY)]},
        4,
    ),
    "nobody ready: since the last of them is not": (
        {
            "instances": [
                made_up(1, now=50.0, not_ready_since=10.0, **UNREADY),
                made_up(2, now=50.0, not_ready_since=30.0, **UNREADY),
            ]
        },
        20,
    ),
    "nobody ready, one of an older version": (
        {
            "instances": [
                made_up(1, now=50.0, not_ready_since=10.0, **UNREADY),
                made_up(2, **UNREADY),
            ]
        },
        None,
    ),
    "down for less than something else is degraded": (
        {"instances": [], "missing": [msgspec.structs.replace(LOST, ago=9)]},
        None,
    ),
    "a report from the future": (
        {"instances": [ONE, made_up(2, now=5.0, not_ready_since=8.0, **UNREADY)]},
        0,
    ),
    "a report that is none": (
        {"instances": [ONE, made_up(2, now=1e308, not_ready_since=-1e308, **UNREADY)]},
        None,
    ),
}


@pytest.mark.parametrize("case", AGES)
def test_judge__findings_that_know_their_age__since_then(case: str) -> None:
    # Given
    different, age = AGES[case]

    # When
    verdict = judge(**{**WELL, **different})  # type: ignore[arg-type]  # by name

    # Then
    since = None if age is None else NOW - age
    assert verdict.since == since


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "ready"),
        (UNREADY, "unready"),
        ({"subscribers": 1000}, "full"),
        ({"leaving": True}, "leaving"),
        ({"leaving": True, "draining": True, **UNREADY}, "draining"),
    ],
)
def test_state_of__instance__one_word(fields: dict[str, Any], state: str) -> None:
    assert state_of(made_up(**fields)) == state
