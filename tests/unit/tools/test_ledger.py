"""The ledger of the fault tests finds what it is there to find."""

from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Any

import pytest

from tests.faults.entries import (
    Account,
    Connection,
    Death,
    Incident,
    Published,
)
from tests.faults.ledger import Ledger
from tests.faults.numbers import number_of, updated_at
from tests.support.task_processor import TIMEOUT_SECONDS, Answer

HERE, THERE = "http://here", "http://there"


def answer(
    at: float,
    status: int = 202,
    *,
    url: str = HERE,
    kept: bool = False,
    after: float = 0.01,
) -> Answer:
    return Answer("e", url, at, at + after, status, kept)


def update(number: int, at: float, status: int = 202, **more: Any) -> Published:
    """One that was tried once."""
    return tried(number, answer(at, status, **more))


def tried(number: int, *tries: Answer) -> Published:
    return Published(number, list(tries), ended=tries[-1].answered)


def ledger_of(
    published: list[Published], *connections: Connection, incidents: list[Incident]
) -> Ledger:
    ledger = Ledger()
    ledger.published["e"] = published
    ledger.accounts.append(Account("serve", "e", list(connections)))
    ledger.incidents = incidents
    return ledger


def rules(ledger: Ledger, stored: int) -> list[str]:
    return [violation.rule for violation in ledger.violations({"e": stored})]


THREE = [update(1, 10), update(2, 20), update(3, 30)]


def test_violations__all_seen_in_order__none() -> None:
    seen = Connection(0, [(10.1, 1), (20.1, 2), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[]), 3) == []


def test_violations__latest_sent_again_on_reconnection__none() -> None:
    first = Connection(0, [(10.1, 1), (20.1, 2)], closed=21)
    second = Connection(22, [(22, 2), (30.1, 3)])
    assert rules(ledger_of(THREE, first, second, incidents=[]), 3) == []


def test_violations__a_later_one_seen_in_time__none() -> None:
    published = [update(1, 10), update(2, 11)]
    seen = Connection(0, [(11.1, 2)])
    assert rules(ledger_of(published, seen, incidents=[]), 2) == []


def test_violations__not_seen_for_too_long__lost() -> None:
    seen = Connection(0, [(10.1, 1), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[]), 3) == ["lost"]


def test_violations__seen_late_but_soon_after_a_fault__none() -> None:
    fault = Incident("kill", 20, healed=27, caught_up=28, over=29)
    seen = Connection(0, [(10.1, 1), (27.9, 2), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[fault]), 3) == []


@pytest.mark.parametrize(
    ("begun", "found"), [(21.5, []), (22.5, ["lost"]), (26, ["lost"])]
)
def test_violations__not_seen_before_a_fault__excused_only_just_before_it(
    begun: float, found: list[str]
) -> None:
    fault = Incident("kill", begun, healed=27, caught_up=28, over=29)
    seen = Connection(0, [(10.1, 1), (27.9, 2), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[fault]), 3) == found


def test_violations__made_up_for_by_a_later_one_after_a_fault__lost() -> None:
    fault = Incident("kill", 19, healed=27, caught_up=29.9, over=31)
    seen = Connection(0, [(10.1, 1), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[fault]), 3) == ["lost"]


def test_violations__disconnected_meanwhile_and_told_on_reconnection__none() -> None:
    first = Connection(0, [(10.1, 1)], closed=19)
    second = Connection(27, [(27.1, 2), (30.1, 3)])
    assert rules(ledger_of(THREE, first, second, incidents=[]), 3) == []


def test_violations__not_told_on_reconnection__lost() -> None:
    published = [*THREE, update(4, 60)]
    first = Connection(0, [(10.1, 1), (20.1, 2)], closed=29)
    second = Connection(35, [(60.1, 4)])
    assert rules(ledger_of(published, first, second, incidents=[]), 4) == ["lost"]


@pytest.mark.parametrize(("destroyed", "found"), [(20.5, []), (22, ["lost"])])
def test_violations__store_destroyed__only_what_was_stored_just_before_is_excused(
    destroyed: float, found: list[str]
) -> None:
    fault = Incident("empty", 20, healed=23, caught_up=24, over=25, destroyed=destroyed)
    seen = Connection(0, [(10.1, 1), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[fault]), 3) == found


def test_violations__older_after_newer__order() -> None:
    seen = Connection(0, [(10.1, 1), (30.1, 3), (30.2, 2), (30.3, 3)])
    assert set(rules(ledger_of(THREE, seen, incidents=[]), 3)) == {"lost", "order"}


def test_violations__twice_on_one_connection__order() -> None:
    seen = Connection(0, [(10.1, 1), (20.1, 2), (20.2, 2), (30.1, 3)])
    assert rules(ledger_of(THREE, seen, incidents=[]), 3) == ["order"]


def test_violations__older_on_reconnection__order() -> None:
    first = Connection(0, [(10.1, 1), (20.1, 2)], closed=21)
    second = Connection(22, [(22, 1), (30.1, 3)])
    assert rules(ledger_of(THREE, first, second, incidents=[]), 3) == ["order"]


def test_violations__never_published__invented() -> None:
    seen = Connection(0, [(10.1, 1), (20.1, 2), (30.1, 3), (31, 4), (32, 3)])
    found = rules(ledger_of(THREE, seen, incidents=[]), 3)
    assert "invented" in found


@pytest.mark.parametrize("other", ["environment-1", "environment-2"])
def test_violations__another_environments__invented(other: str) -> None:
    ours = "environment-0"
    seen = Connection(0, [(10.1, 1), (20.1, 2), (30.1, 3)])
    seen.events.insert(2, (20.2, number_of(ours, seconds_of(other, 2))))
    assert "invented" in rules(ledger_of(THREE, seen, incidents=[]), 3)


def test_number_of__its_own__as_it_was_published() -> None:
    assert number_of("environment-0", seconds_of("environment-0", 7)) == 7


def seconds_of(environment: str, number: int) -> float:
    return datetime.fromisoformat(updated_at(environment, number)).timestamp()


OUTAGE = Incident("kill", 25, healed=35, caught_up=36, over=37)


@pytest.mark.parametrize(
    ("statuses", "kept"), [((503, 503, 503), False), ((503, 202), True), ((0,), False)]
)
@pytest.mark.parametrize(("told", "found"), [(35.5, []), (36.5, ["lost"])])
def test_violations__not_stored_at_once__owed_whatever_was_answered(
    statuses: tuple[int, ...], kept: bool, told: float, found: list[str]
) -> None:
    # Given: an update in an outage
    late = tried(
        3, *(answer(30 + n, s, kept=kept and s == 202) for n, s in enumerate(statuses))
    )
    seen = Connection(0, [(10.1, 1), (20.1, 2), (told, 3)])
    # When
    ledger = ledger_of([*THREE[:2], late], seen, incidents=[OUTAGE])
    # Then
    assert [rule for rule in rules(ledger, 3) if rule != "unanswered"] == found


def test_violations__refused_by_all_and_never_stored__lost_and_last() -> None:
    late = update(3, 30, 503)
    seen = Connection(0, [(10.1, 1), (20.1, 2)])
    ledger = ledger_of([*THREE[:2], late], seen, incidents=[OUTAGE])
    assert rules(ledger, 2) == ["lost", "last"]
    assert ledger.behind() == ledger.accounts


def killed(since: float, until: float, *, memory: bool) -> Incident:
    incident = replace(OUTAGE, deaths=[Death(HERE, since, until, memory)])
    return incident


@pytest.mark.parametrize(
    ("memory", "url", "died"),
    [(True, HERE, True), (False, HERE, False), (True, THERE, False)],
)
def test_fate__whoever_answered_was_killed__died_if_it_was_in_memory_only(
    memory: bool, url: str, died: bool
) -> None:
    # Given: kept by one process, which is killed or not
    incident = killed(31, 34, memory=memory)
    late = tried(3, answer(29, 503), answer(30, 202, url=url, kept=True))
    seen = Connection(0, [(10.1, 1), (20.1, 2)])
    # When
    ledger = ledger_of([*THREE[:2], late], seen, incidents=[incident])
    # Then
    assert ledger.fate(late) == ("died" if died else "held")
    assert ledger.gone(incident) == {"died": int(died), "nobody": 0}
    assert rules(ledger, 2) == ([] if died else ["lost", "last"])


@pytest.mark.parametrize(
    ("status", "url", "fate"),
    [(0, HERE, "nobody"), (0, THERE, "held"), (503, HERE, "held")],
)
def test_fate__nobody_answered__nobody_has_it_only_where_the_process_was_dead(
    status: int, url: str, fate: str
) -> None:
    # Given
    incident = killed(26, 34, memory=False)
    late = update(3, 30, status, url=url)
    # When
    ledger = ledger_of([*THREE[:2], late], Connection(0), incidents=[incident])
    # Then
    assert ledger.fate(late) == fate
    assert ledger.gone(incident)["nobody"] == (fate == "nobody")


def test_gone__told_all_the_same__not_counted() -> None:
    incident = killed(26, 34, memory=True)
    late = update(3, 26, 503)
    seen = Connection(0, [(10.1, 1), (20.1, 2), (35.5, 3)])
    ledger = ledger_of([*THREE[:2], late], seen, incidents=[incident])
    assert ledger.gone(incident) == {"died": 0, "nobody": 0}


@pytest.mark.parametrize(
    ("status", "url", "found"),
    [(503, HERE, ["untold"]), (0, THERE, ["untold"]), (0, HERE, [])],
)
def test_violations__project_ended_before_its_turn__untold_unless_nobody_was_there(
    status: int, url: str, found: list[str]
) -> None:
    # Given: the task failed for another environment
    blocked = answer(30, status, url=url)
    late = Published(3, ended=30.01, blocked=blocked)
    seen = Connection(0, [(10.1, 1), (20.1, 2)])
    incident = killed(26, 34, memory=False)
    # When
    ledger = ledger_of([*THREE[:2], late], seen, incidents=[incident])
    # Then
    assert rules(ledger, 2) == found


@pytest.mark.parametrize(("at", "found"), [(30.5, []), (90.0, ["order"])])
def test_violations__sent_again_after_an_uncertain_try__only_soon_after_it(
    at: float, found: list[str]
) -> None:
    # Given: the first try timed out, and was stored late
    twice = tried(3, answer(29, 503), answer(30))
    seen = Connection(0, [(10.1, 1), (20.1, 2), (30.1, 3), (at, 3)])
    assert rules(ledger_of([*THREE[:2], twice], seen, incidents=[]), 3) == found


def test_violations__acknowledged_and_not_stored__last() -> None:
    seen = Connection(0, [(10.1, 1), (20.1, 2)])
    found = rules(ledger_of(THREE[:2], seen, incidents=[]), 1)
    assert found == ["last", "last"]


def test_violations__stored_and_not_seen_last__last() -> None:
    seen = Connection(0, [(10.1, 1), (20.1, 2)])
    assert "last" in rules(ledger_of(THREE, seen, incidents=[]), 3)


def test_violations__silent_stream__silent() -> None:
    seen = Connection(0, [(10.1, 1), (20.1, 2), (30.1, 3)], closed=50, silent=True)
    assert "silent" in rules(ledger_of(THREE, seen, incidents=[]), 3)


@pytest.mark.parametrize(("url", "found"), [(HERE, []), (THERE, ["unanswered"])])
def test_violations__no_answer__unanswered_unless_the_process_was_dead(
    url: str, found: list[str]
) -> None:
    cut = tried(3, answer(30, 0, url=url), answer(31, url=THERE))
    seen = Connection(0, [(10.1, 1), (20.1, 2), (31.1, 3)])
    incident = killed(26, 34, memory=True)
    ledger = ledger_of([*THREE[:2], cut], seen, incidents=[incident])
    assert rules(ledger, 3) == found


@pytest.mark.parametrize(("lag", "found"), [(0.2, ["unanswered"]), (0.4, [])])
def test_violations__answer_too_late__unanswered_unless_we_were_late_ourselves(
    lag: float, found: list[str]
) -> None:
    late = tried(3, answer(30, 0, after=TIMEOUT_SECONDS), answer(32.5))
    seen = Connection(0, [(10.1, 1), (20.1, 2), (32.6, 3)])
    ledger = ledger_of([*THREE[:2], late], seen, incidents=[])
    ledger._lag = lambda since, until: lag
    assert rules(ledger, 3) == found


@pytest.mark.parametrize(("seen", "behind"), [([], True), ([1, 2], True), ([3], False)])
def test_behind__last_acknowledged__until_it_was_seen(
    seen: list[int], behind: bool
) -> None:
    connection = Connection(
        0, [(THREE[number - 1].answered, number) for number in seen]
    )
    ledger = ledger_of(THREE, connection, incidents=[])
    assert bool(ledger.behind()) == behind


def test_ended__streams_that_ended_in_the_incident__only_those() -> None:
    fault = Incident("kill", 20, healed=21, caught_up=22, over=23)
    ended, later, still = (Connection(0, closed=at) for at in (21, 25, inf))
    ledger = ledger_of([], ended, later, still, incidents=[fault])
    assert ledger.ended(fault) == [ended]


def test_outage__publishes_failed__from_the_first_to_the_answer_of_the_last() -> None:
    fault = Incident("kill", 5, healed=35, caught_up=40, over=41)
    published = [update(1, 10, 503), update(2, 20), update(3, 30, 503)]
    ledger = ledger_of(published, Connection(0), incidents=[fault])
    assert ledger.outage(fault) == pytest.approx(20.01)


def test_outage__several_steps__of_the_worst_of_them() -> None:
    fault = Incident("rolled", 5, healed=35, caught_up=40, over=41, steps=[6, 15, 25])
    failing = (7, 10, 16, 22, 26, 27)
    published = [update(n, at, 503) for n, at in enumerate(failing, start=1)]
    ledger = ledger_of(published, Connection(0), incidents=[fault])
    assert ledger.outage(fault) == pytest.approx(6.01)
