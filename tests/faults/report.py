"""What was measured, for docs/reliability.md."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.report import machine
from tests.faults.catalogue import ON_A_CLUSTER, ON_ONE_NODE, SCENARIOS
from tests.faults.rounds import Round
from tests.faults.run import Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
FAULTS = {**ON_ONE_NODE, **ON_A_CLUSTER}


def rows(rounds: Sequence[Round]) -> dict[str, str]:
    """A row for each fault and scenario, by its name."""
    return {**fault_rows(rounds), **scenario_rows(rounds)}


def fault_rows(rounds: Sequence[Round]) -> dict[str, str]:
    """Of each fault the worst of all its times."""
    by_name: dict[str, list[Outcome]] = {}
    for turn in rounds:
        for verdict in turn.verdicts:
            for outcome in verdict.outcomes:
                by_name.setdefault(outcome.fault.name, []).append(outcome)
    return {
        name: _row(
            *(fault.title, fault.expected, str(len(outcomes))),
            f"{max(outcome.recovery for outcome in outcomes):.1f} s",
            f"{max(outcome.outage for outcome in outcomes):.1f} s",
            f"{max(outcome.slowest for outcome in outcomes):.2f} s",
            str(sum(outcome.lost for outcome in outcomes)),
            str(sum(outcome.died for outcome in outcomes)),
            str(sum(outcome.nobody for outcome in outcomes)),
            str(max(outcome.affected for outcome in outcomes)),
        )
        for name, fault in FAULTS.items()
        if (outcomes := by_name.get(name))
    }


def scenario_rows(rounds: Sequence[Round]) -> dict[str, str]:
    """Of each scenario what the last round measured."""
    findings = {name: f for turn in rounds for name, f in turn.findings.items()}
    return {
        name: _row(scenario.title, scenario.expected, findings[name].measured)
        for name, scenario in SCENARIOS.items()
        if name in findings
    }


def about(rounds: Sequence[Round], minutes: float) -> str:
    """The date, what was done, what the ledgers held together, and on what machine."""
    verdicts = [verdict for turn in rounds for verdict in turn.verdicts]
    updates = sum(verdict.updates for verdict in verdicts)
    deliveries = sum(verdict.deliveries for verdict in verdicts)
    slowest = max(verdicts, key=lambda verdict: verdict.slowest_answer)
    seeds = ", ".join(str(turn.seed) for turn in rounds)
    length = f"{minutes:g} minutes" if minutes else "each fault once"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}. Rounds in a row that passed: {len(rounds)} "
        f"({length}); seeds: {seeds}. {updates:,} updates were published and "
        f"{deliveries:,} deliveries entered; the slowest answer to a publish took "
        f"{slowest.slowest_answer:.2f} s (for {slowest.lag:.2f} s of that the "
        f"publisher itself waited for the processor). {machine()}"
    )


def write(rounds: Sequence[Round], minutes: float) -> None:
    """Put all that was measured into docs/reliability.md."""
    text = _between(PAGE.read_text(), "about", about(rounds, minutes))
    for part, measured in (
        ("faults", fault_rows(rounds)),
        ("scenarios", scenario_rows(rounds)),
    ):
        head, rule, *_ = inside(text, part).splitlines()
        text = _between(text, part, "\n".join([head, rule, *measured.values()]))
    PAGE.write_text(text)


def inside(text: str, part: str) -> str:
    """What stands between the marks of `part`."""
    found = re.search(rf"<!-- {part} -->\n(.*?)<!-- end of {part} -->", text, re.S)
    assert found is not None, f"{PAGE} has no mark {part}"
    return found[1].strip()


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _between(text: str, part: str, content: str) -> str:
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{content}\n{end}{rest.partition(end)[2]}"
