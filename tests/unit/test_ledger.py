"""The ledger of the fault tests finds what it is there to find."""

from math import inf

import pytest

from tests.faults.ledger import (
    LATE_SECONDS,
    Account,
    Connection,
    Incident,
    Ledger,
    Published,
)
from tests.faults.numbers import number_of, updated_at


def update(number: int, at: float, status: int = 202) -> Published:
    return Published(number, sent=at, answered=at + 0.01, status=status)


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
    seen.events.insert(2, (20.2, number_of(ours, updated_at(other, 2))))
    assert "invented" in rules(ledger_of(THREE, seen, incidents=[]), 3)


def test_number_of__its_own__as_it_was_published() -> None:
    assert number_of("environment-0", updated_at("environment-0", 7)) == 7


def test_violations__refused_and_seen_all_the_same__none() -> None:
    published = [update(1, 10), update(2, 20, status=503), update(3, 30)]
    seen = Connection(0, [(10.1, 1), (30.1, 3), (31, 2)])
    assert rules(ledger_of(published, seen, incidents=[]), 2) == []


def test_violations__refused_and_not_seen__none() -> None:
    published = [update(1, 10), update(2, 20), update(3, 30, status=503)]
    seen = Connection(0, [(10.1, 1), (20.1, 2)])
    assert rules(ledger_of(published, seen, incidents=[]), 2) == []


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


@pytest.mark.parametrize("in_fault", [True, False])
def test_violations__no_answer__unanswered_unless_there_is_a_fault(
    in_fault: bool,
) -> None:
    cut = Published(2, sent=20, answered=20.5)
    seen = Connection(0, [(10.1, 1)])
    incidents = (
        [Incident("kill", 19, healed=21, caught_up=22, over=23)] if in_fault else []
    )
    found = rules(ledger_of([update(1, 10), cut], seen, incidents=incidents), 1)
    assert found == ([] if in_fault else ["unanswered"])


def test_violations__answer_too_late__unanswered_whatever_there_is() -> None:
    late = Published(2, sent=20, answered=20 + LATE_SECONDS + 1, status=503)
    seen = Connection(0, [(10.1, 1)])
    incidents = [Incident("kill", 19, healed=21, caught_up=22, over=23)]
    found = rules(ledger_of([update(1, 10), late], seen, incidents=incidents), 1)
    assert found == ["unanswered"]


@pytest.mark.parametrize(("seen_at", "behind"), [(20.5, True), (30.005, False)])
def test_behind__unacknowledged_seen_last__unless_it_may_have_been_stored_last(
    seen_at: float, behind: bool
) -> None:
    published = [update(1, 10), update(2, 20, status=503), update(3, 30)]
    seen = Connection(0, [(10.1, 1), (seen_at, 2)])
    ledger = ledger_of(published, seen, incidents=[])
    assert ledger.behind() == (ledger.accounts if behind else [])


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
