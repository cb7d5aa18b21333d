"""What a process remembers of the publishes that it was sent, and what it logs."""

import json
import time

import pytest
from msgspec import json as msgspec_json
from structlog.testing import capture_logs

from realtime.fleet.messages import InstanceReport
from realtime.fleet.publishes.messages import CAUSES, SLOTS, SOURCES, PublishesReport
from realtime.fleet.publishes.recent_times import (
    RECENT_SECONDS,
    SLOT_SECONDS,
    RecentTimes,
)
from realtime.fleet.publishes.recorder import REMEMBERED_SECONDS, PublishRecorder
from realtime.fleet.wire_types import decode, encode
from tests.support.simulated_fleet import made_up

NOW = 1_800_000_000.0


class Clock:
    """Shows what it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_recent_times__noted_for_an_hour__five_minutes_counted(clock: Clock) -> None:
    # Given
    times = RecentTimes(clock)

    # When
    for _ in range(3600):
        clock.now += 1
        times.note()

    # Then
    assert RECENT_SECONDS - SLOT_SECONDS <= times.recent() <= RECENT_SECONDS + 1
    assert times.latest == clock.now
    assert len(times.within(float("inf"))) == SLOTS


def test_recent_times__long_ago__not_counted_and_not_forgotten(clock: Clock) -> None:
    # Given
    times = RecentTimes(clock)
    assert (times.latest, times.recent()) == (None, 0)
    times.note()

    # When
    clock.now += RECENT_SECONDS + 1

    # Then
    assert (times.latest, times.recent()) == (1000.0, 0)


def test_recent_times__noted__costs_a_publish_nothing() -> None:
    # Given
    times = RecentTimes(time.monotonic)
    count = 10_000

    # When
    began = time.thread_time()
    for _ in range(count):
        times.note()
    seconds = time.thread_time() - began

    # Then: the processor's time of this thread, with a wide margin
    assert seconds / count < 5e-6


def test_publishes__nothing_happened__empty(clock: Clock) -> None:
    assert PublishRecorder(clock).report(NOW) == PublishesReport()


def test_publishes__accepted_and_refused__counted_with_the_newest_reason(
    clock: Clock,
) -> None:
    # Given
    publishes = PublishRecorder(clock)
    for _ in range(5):
        publishes.accepted.note()

    # When
    clock.now += 30
    publishes.refused(401, "No token.", "192.0.2.1", publisher=True)
    clock.now += 15
    publishes.refused(401, "Invalid token.", "192.0.2.2", publisher=True)
    publishes.refused(405, "GET is not allowed.", "192.0.2.3", publisher=False)
    clock.now += 5
    report = publishes.report(NOW)

    # Then
    assert report.accepted_at == NOW - 50
    assert [(one.status, one.count) for one in report.statuses] == [
        (202, 5),
        (401, 2),
        (405, 1),
    ]
    wrong, browser = report.refusals
    assert (wrong.status, wrong.reason, wrong.publisher) == (
        401,
        "Invalid token.",
        True,
    )
    assert [(one.at, one.count) for one in wrong.slots] == [(NOW - 20, 1), (NOW - 5, 1)]
    assert [(one.address, one.at) for one in wrong.sources] == [
        ("192.0.2.1", NOW - 20),
        ("192.0.2.2", NOW - 5),
    ]
    assert not browser.publisher


def test_publishes__date_set_back__order_kept(clock: Clock) -> None:
    # Given
    publishes = PublishRecorder(clock)
    publishes.refused(401, "Invalid token.", "192.0.2.1", publisher=True)
    clock.now += 60
    publishes.accepted.note()

    # When: the computer's date is an hour earlier now
    report = publishes.report(NOW - 3600)

    # Then
    [refusal] = report.refusals
    assert refusal.slots[0].at == NOW - 3660
    assert report.accepted_at == NOW - 3600


def test_publishes__date_before_the_machine_started__no_negative_times(
    clock: Clock,
) -> None:
    # Given
    publishes = PublishRecorder(clock)
    publishes.accepted.note()
    publishes.refused(503, "NATS is away.", "192.0.2.1", publisher=True)
    clock.now += 60

    # When
    report = publishes.report(1.0)

    # Then
    assert msgspec_json.decode(encode(report), type=PublishesReport) == report


def test_publishes__from_many_addresses__newest_three_and_others(clock: Clock) -> None:
    # Given
    publishes = PublishRecorder(clock)

    # When
    for number in range(1000):
        clock.now += 0.5
        address = f"{number}-{'x' * 500}"
        publishes.refused(401, "y" * 5000, address, publisher=True)
    report = publishes.report(NOW)

    # Then
    [refusal] = report.refusals
    assert len(refusal.sources) == SOURCES
    assert refusal.sources[-1].address.startswith("999-")
    assert refusal.others_at == NOW - 1.5
    assert len(encode(report)) < 3000
    assert msgspec_json.decode(encode(report), type=PublishesReport) == report


def test_publishes__every_status_from_everybody__small_and_within_bounds(
    clock: Clock,
) -> None:
    # Given
    publishes = PublishRecorder(clock)

    # When
    for _ in range(400):
        clock.now += SLOT_SECONDS
        for status in (400, 401, 404, 405, 408, 413, 415, 503):
            for publisher in (True, False):
                publishes.refused(status, "z" * 200, "192.0.2.1", publisher=publisher)
    report = publishes.report(NOW)

    # Then
    assert len(report.refusals) <= CAUSES
    assert len(encode(report)) < 32_000
    assert msgspec_json.decode(encode(report), type=PublishesReport) == report


def test_publishes__refused_long_ago__forgotten(clock: Clock) -> None:
    # Given
    publishes = PublishRecorder(clock)
    publishes.refused(503, "NATS is away.", "192.0.2.1", publisher=True)

    # When
    clock.now += REMEMBERED_SECONDS + 1

    # Then
    assert publishes.report(NOW) == PublishesReport()


def test_publishes__refused_again_and_again__logged_once_for_each_cause(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr("realtime.rate_limit.time.monotonic", clock)
    publishes = PublishRecorder(clock)

    # When
    with capture_logs() as lines:
        for number in range(50):
            address = f"192.0.2.{number}"
            publishes.refused(401, "Invalid token.", address, publisher=True)
            publishes.refused(400, f"nonsense {number}", address, publisher=True)
            publishes.refused(405, "GET", address, publisher=False)
        clock.now += 61
        publishes.refused(401, "Invalid token.", "192.0.2.99", publisher=True)

    # Then
    told = [(line["status"], line["log_level"], line["times"]) for line in lines]
    assert told == [
        (401, "warning", 1),
        (400, "warning", 1),
        (405, "info", 1),
        (401, "warning", 50),
    ]
    assert {line["event"] for line in lines} == {"publish.refused"}
    assert lines[-1]["address"] == "192.0.2.99"


REFUSAL = {"status": 401, "reason": "Invalid token.", "publisher": True}
HOSTILE: dict[str, object] = {
    "time that is a text": {"accepted_at": "now"},
    "time that is beyond a date": {"accepted_at": 1e300},
    "negative time": {"accepted_at": -1},
    "status that is none": {"statuses": [{"status": 7, "count": 1}]},
    "negative count": {"statuses": [{"status": 401, "count": -1}]},
    "too many statuses": {"statuses": [{"status": 401, "count": 1}] * 17},
    "too many causes": {"refusals": [REFUSAL] * 17},
    "reason that is long": {"refusals": [{**REFUSAL, "reason": "x" * 201}]},
    "too many slots": {
        "refusals": [{**REFUSAL, "slots": [{"at": 1, "count": 1}] * 31}]
    },
    "too many addresses": {
        "refusals": [{**REFUSAL, "sources": [{"address": "x", "at": 1}] * 4}]
    },
    "address that is long": {
        "refusals": [{**REFUSAL, "sources": [{"address": "x" * 65, "at": 1}]}]
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_decode__senseless_publishes__no_report(case: str) -> None:
    # Given
    document = {**json.loads(encode(made_up())), "publishes": HOSTILE[case]}

    # When / Then
    assert decode(json.dumps(document).encode(), InstanceReport) is None


def test_decode__report_of_an_older_version__no_publishes() -> None:
    # Given
    document = json.loads(encode(made_up()))
    del document["publishes"]

    # When
    report = decode(json.dumps(document).encode(), InstanceReport)

    # Then
    assert report is not None
    assert report.publishes is None
