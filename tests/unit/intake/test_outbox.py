"""What the outbox keeps, of what comes in which order."""

import asyncio

import pytest
from structlog.testing import capture_logs

from realtime import metrics
from realtime.intake.outbox import Outbox, settled_by
from realtime.updates import Update, parse_update

KNOWN = (7, 1_700_000_000_000_000_000)


def dated(second: int) -> Update:
    return parse_update("a", b'{"updated_at":"2026-01-31T12:00:%02dZ"}' % second)


async def test_keep__newer_of_the_same_environment__takes_its_place() -> None:
    # Given
    outbox = Outbox(10)
    first = outbox.keep(Update("a", "1"), None, reason="away")
    since = outbox.oldest

    # When
    second = outbox.keep(Update("a", "2"), KNOWN, reason="away")

    # Then: who waits for the first waits for the second; it has waited since the first
    assert first is second
    assert (first.update, first.known, len(outbox)) == (Update("a", "2"), KNOWN, 1)
    assert outbox.oldest == since


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        (dated(1), dated(2), dated(2)),
        # A retry that comes after the update which followed.
        (dated(2), dated(1), dated(2)),
        # Numbers are in the order in which they come.
        (Update("a", "2"), Update("a", "1"), Update("a", "1")),
        (dated(2), Update("a", "1"), Update("a", "1")),
    ],
)
async def test_keep__several_of_one_environment__the_newest_by_date_or_arrival(
    first: Update, then: Update, kept: Update
) -> None:
    # Given
    outbox = Outbox(10)
    outbox.keep(first, None, reason="away")
    # When
    outbox.keep(then, None, reason="away")
    # Then
    assert [one.update for one in outbox.waiting] == [kept]


@pytest.mark.parametrize("arrival", [None, 0])
@pytest.mark.parametrize("second", [1, 3])
async def test_keep__left_by_two_dead_processes__the_later_date(
    arrival: int | None, second: int
) -> None:
    # Given: it came to this process, or one that is dead left it
    outbox = Outbox(10)
    outbox.keep(dated(2), None, reason="away", arrival=arrival)
    # When: another dead process left another one
    outbox.keep(dated(second), None, reason="died", arrival=0)
    # Then
    assert [one.update for one in outbox.waiting] == [dated(max(2, second))]


@pytest.mark.parametrize(("second", "left"), [(1, 1), (2, 0), (3, 0)])
async def test_supersede__older_one_stored_after_a_newer_was_kept__that_stays(
    second: int, left: int
) -> None:
    # Given
    outbox = Outbox(10)
    outbox.keep(dated(2), None, reason="away")
    # When: a late try
    outbox.supersede(dated(second), outbox.arrive())
    # Then
    assert len(outbox) == left


async def test_keep__the_same_once_more__what_was_known_of_it_stays() -> None:
    # Given: a try, before whatever was stored meanwhile was read
    outbox = Outbox(10)
    outbox.keep(dated(1), None, reason="away")
    outbox.news.clear()
    # When
    outbox.keep(dated(1), KNOWN, reason="away")
    # Then
    assert [one.known for one in outbox.waiting] == [None]
    assert not outbox.news.is_set()


async def test_keep__what_a_dead_process_left__does_not_replace_what_came_here() -> (
    None
):
    # Given
    outbox = Outbox(10)
    outbox.keep(Update("a", "2"), None, reason="away")
    # When
    outbox.keep(Update("a", "1"), None, reason="left", since=1.0, arrival=0)
    outbox.keep(Update("b", "1"), None, reason="left", since=1.0, arrival=0)
    # Then
    assert {
        one.update.environment: one.update.updated_at for one in outbox.waiting
    } == {
        "a": "2",
        "b": "1",
    }


async def test_keep__more_environments_than_it_may__the_oldest_goes_and_is_named() -> (
    None
):
    # Given
    outbox = Outbox(2)
    before = metrics.outbox_settled["overflow"]._value.get()
    oldest = outbox.keep(Update("a", "1"), None, reason="away")
    outbox.keep(Update("b", "1"), None, reason="away")

    # When
    with capture_logs() as logs:
        outbox.keep(Update("c", "1"), None, reason="away")

    # Then
    assert [one.update.environment for one in outbox.waiting] == ["b", "c"]
    assert oldest.settled.result() == "overflow"
    assert metrics.outbox_settled["overflow"]._value.get() == before + 1
    [dropped] = [e for e in logs if e["event"] == "update.dropped"]
    assert (dropped["log_level"], dropped["environment__key"]) == ("error", "a")


async def test_supersede__stored_after_it_came__waits_no_longer() -> None:
    # Given
    outbox = Outbox(10)
    kept = outbox.keep(Update("a", "1"), None, reason="away")
    stored = outbox.arrive()
    # When
    outbox.supersede(Update("a", "1"), stored)
    # Then
    assert kept.settled.result() == "superseded"


async def test_supersede__it_came_after_what_was_stored__still_waits() -> None:
    # Given: the publish was on its way when this one came
    outbox = Outbox(10)
    stored = outbox.arrive()
    outbox.keep(Update("a", "2"), None, reason="away")
    # When
    outbox.supersede(Update("a", "1"), stored)
    # Then
    assert len(outbox) == 1


async def test_supersede__stored_one_is_a_late_retry_of_an_older__still_waits() -> None:
    # Given: whoever has been told of the older one hears nothing new in its retry
    outbox = Outbox(10)
    outbox.keep(dated(2), None, reason="away")
    # When
    outbox.supersede(dated(1), outbox.arrive())
    # Then
    assert [one.update for one in outbox.waiting] == [dated(2)]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_keep__what_several_dead_processes_left__the_newest_by_date(
    order: tuple[int, int],
) -> None:
    # Given
    outbox = Outbox(10)
    # When
    for second in order:
        outbox.keep(dated(second), None, reason="left", arrival=0)
    # Then
    assert [one.update for one in outbox.waiting] == [dated(2)]


async def test_settled_by__settled_in_time_or_not__says_so() -> None:
    # Given
    outbox = Outbox(10)
    kept = outbox.keep(Update("a", "1"), None, reason="away")
    loop = asyncio.get_running_loop()
    # When
    assert await settled_by(kept, loop.time() + 0.01) is None
    loop.call_soon(outbox.settle, kept, "stored")
    # Then
    assert await settled_by(kept, loop.time() + 10) == "stored"


async def test_log__outage_over__one_line_at_its_begin_and_one_at_its_end() -> None:
    # Given
    outbox = Outbox(10)
    # When
    with capture_logs() as logs:
        kept = [outbox.keep(Update(str(n), "1"), None, reason="away") for n in range(3)]
        for one in kept:
            outbox.settle(one, "stored")
    # Then
    assert [(e["event"], e.get("reason"), e.get("stored")) for e in logs] == [
        ("outbox.filling", "away", None),
        ("outbox.emptied", None, 3),
    ]
