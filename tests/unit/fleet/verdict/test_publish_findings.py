"""The publishes of all instances together, and the verdict on them."""

import time
from typing import Any

import pytest

from realtime.fleet.answers import Answers
from realtime.fleet.messages import Answer, InstanceReport
from realtime.fleet.publishes.fleet_publishes import FleetPublishes, fleet_publishes
from realtime.fleet.publishes.messages import (
    PublishesReport,
    RefusalReport,
    Slot,
    Source,
    StatusCount,
)
from realtime.fleet.verdict.finding import Finding
from realtime.fleet.verdict.publish_findings import publish_findings
from realtime.fleet.verdict.verdict import judge
from tests.support.simulated_fleet import made_up

AT = 1_800_000_000.0
HOST, OTHER = "10.0.3.17", "10.0.3.18"


def refused(
    *ages: float,
    status: int = 401,
    reason: str = "Invalid token.",
    address: str = HOST,
    publisher: bool = True,
    count: int = 1,
    others_at: float | None = None,
) -> RefusalReport:
    """Refused `count` times at each of `ages`, in seconds ago."""
    return RefusalReport(
        status=status,
        reason=reason,
        publisher=publisher,
        slots=tuple(Slot(AT - age, count) for age in ages),
        sources=(Source(address, AT - min(ages)),),
        others_at=others_at,
    )


def telling(
    number: int,
    *refusals: RefusalReport,
    accepted: float | None = None,
    **fields: Any,
) -> InstanceReport:
    """An instance that accepted its last publish `accepted` seconds ago."""
    return made_up(
        number,
        **{"now": AT, **fields},
        publishes=PublishesReport(
            accepted_at=None if accepted is None else AT - accepted,
            statuses=tuple(
                StatusCount(one.status, sum(slot.count for slot in one.slots))
                for one in refusals
            ),
            refusals=refusals,
        ),
    )


def merged(*instances: InstanceReport) -> FleetPublishes:
    found = fleet_publishes(instances, AT)
    assert found is not None
    return found


def findings(*instances: InstanceReport) -> list[Finding]:
    return list(publish_findings(fleet_publishes(instances, AT), AT))


def test_fleet_publishes__several_instances__summed() -> None:
    # Given
    newer = refused(30, 5, address=OTHER, reason="Invalid token header.")

    # When
    found = merged(telling(1, refused(400, 20), accepted=90), telling(2, newer))

    # Then
    assert found.accepted_at == AT - 90
    assert found.statuses == {401: 4}
    [refusal] = found.refusals
    assert refusal.count == 3
    assert refusal.newest_at == AT - 5
    assert refusal.reason == "Invalid token header."
    assert refusal.addresses == (OTHER, HOST)
    assert not refusal.others
    assert (refusal.in_a_row, refusal.in_a_row_since) == (3, AT - 30)
    assert found.complete


def test_fleet_publishes__more_than_three_addresses__and_others() -> None:
    # Given
    addresses = [f"10.0.0.{number}" for number in range(5)]

    # When
    found = merged(
        *(telling(n, refused(n, address=a)) for n, a in enumerate(addresses))
    )

    # Then
    [refusal] = found.refusals
    assert refusal.addresses == tuple(addresses[:3])
    assert refusal.others


def test_fleet_publishes__clocks_differ__brought_to_ours() -> None:
    # Given: an hour ahead, and a report that says it comes from tomorrow
    ahead = telling(1, accepted=-3540, now=AT + 3600)
    tomorrow = telling(2, refused(-86_400))

    # When
    found = merged(ahead, tomorrow)

    # Then
    assert found.accepted_at == AT - 60
    assert found.refusals[0].newest_at == AT


def test_fleet_publishes__no_instance_of_this_version__nothing() -> None:
    assert fleet_publishes([made_up(1)], AT) is None
    assert fleet_publishes([], AT) is None
    assert list(publish_findings(None, AT)) == []


def test_fleet_publishes__absurd_times_from_everybody__merged_quickly() -> None:
    # Given: all that the bounds allow
    sources = tuple(Source("x" * 64, 1e11) for _ in range(3))
    refusals = tuple(
        RefusalReport(
            status=100 + number,
            reason="z" * 200,
            publisher=True,
            slots=(Slot(0.0, 2**53),) * 30,
            sources=sources,
        )
        for number in range(16)
    )
    crowd = [telling(n, *refusals, now=1e300) for n in range(1000)]

    # When
    began = time.thread_time()
    found = merged(*crowd)

    # Then
    assert time.thread_time() - began < 5
    assert len(found.refusals) <= 16
    assert all(finding.reason for finding in publish_findings(found, AT))


def test_publish_findings__all_refused_for_a_minute__cause_and_address() -> None:
    # When
    [finding] = findings(
        telling(1, refused(250, 100, 5), accepted=720), telling(2, refused(60))
    )

    # Then
    assert finding.reason == (
        "4 publishes were refused with 401 in the last 4 min 10 s, all from "
        "10.0.3.17; the latest that was accepted was 12 min ago. Flagsmith's task "
        "processor probably has another SSE_AUTHENTICATION_TOKEN."
    )
    assert finding.consequence == "No application is told of flag changes meanwhile."
    assert finding.since == AT - 250
    assert finding.runbook == "flagsmithssepublishunauthorised"


CASES: dict[str, tuple[list[InstanceReport], list[str]]] = {
    # what it is: the instances, a part of each finding
    "one change that was refused": ([telling(1, refused(6, 5, 1))], []),
    "two within a minute": ([telling(1, refused(80, 5))], []),
    "none ever accepted": (
        [telling(1, refused(80, 70, 5))],
        ["none has been accepted since the instances started"],
    ),
    "accepted after them": ([telling(1, refused(200, 100, 5), accepted=4)], []),
    "accepted after them elsewhere": (
        [telling(1, refused(200, 100, 5)), telling(2, accepted=4)],
        [],
    ),
    "a stranger's beside accepted ones": (
        [telling(1, refused(200, 100, 5), accepted=50), telling(2, accepted=30)],
        [],
    ),
    "right until a while ago": (
        [telling(1, refused(900, 200, 100, 5), accepted=300)],
        ["3 publishes were refused with 401 in the last 3 min 20 s"],
    ),
    "a scanner's": ([telling(1, refused(200, 100, 5, publisher=False))], []),
    "minutes apart": ([telling(1, refused(2000, 1200, 400))], ["in the last 33 min"]),
    "without a token": (
        [
            telling(
                1,
                refused(
                    *(200, 100, 5),
                    reason="Authentication credentials were not provided.",
                ),
            )
        ],
        ["They bring no token: a proxy may take the Authorization header away"],
    ),
    "from two": (
        [telling(1, refused(200, 100, 5)), telling(2, refused(50, address=OTHER))],
        ["from 10.0.3.17 and 10.0.3.18; none"],
    ),
    "from more": (
        [telling(1, refused(200, 100, 5, others_at=AT - 60))],
        ["from 10.0.3.17 and others; none"],
    ),
    "from others before the last that was accepted": (
        [telling(1, refused(200, 100, 5, others_at=AT - 400), accepted=300)],
        ["all from 10.0.3.17; the latest"],
    ),
    "NATS takes nothing": (
        [telling(1, refused(200, 100, 5, status=503, reason="NATS is away."))],
        ["The newest was told: NATS is away."],
    ),
    "NATS took nothing some time ago": (
        [telling(1, refused(2000, 1000, 400, status=503, reason="NATS is away."))],
        [],
    ),
    "no updates": (
        [telling(1, refused(200, 100, 5, status=400))],
        ["What is sent is no update"],
    ),
    "another path": (
        [telling(1, refused(200, 100, 5, status=404))],
        ["SSE_SERVER_BASE_URL is probably wrong"],
    ),
    "no JSON": (
        [telling(1, refused(200, 100, 5, status=415))],
        ["What is sent is not declared as JSON"],
    ),
    "one of an older version, that may have accepted some": (
        [telling(1, refused(200, 100, 5)), made_up(2)],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_publish_findings__every_case__told_or_not(case: str) -> None:
    # Given
    instances, parts = CASES[case]

    # When
    found = findings(*instances)

    # Then
    assert len(found) == len(parts)
    for finding, part in zip(found, parts, strict=True):
        assert part in finding.reason
        assert finding.consequence


def test_judge__all_publishes_refused__degraded_until_one_is_accepted() -> None:
    # Given
    instances = [telling(1, refused(200, 100, 5))]
    accepted = [*instances, telling(2, accepted=1)]

    # When
    verdict, later = (
        judge(
            Answers([Answer(report=one, alive=1) for one in reports]),
            AT,
            [],
            publishes=fleet_publishes(reports, AT),
        )
        for reports in (instances, accepted)
    )

    # Then
    assert verdict.level == "degraded"
    [finding] = verdict.findings
    assert finding.reason.startswith("3 publishes were refused with 401")
    assert finding.consequence == "No application is told of flag changes meanwhile."
    assert later.level == "well"
