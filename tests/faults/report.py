"""What was measured, for docs/reliability.md."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.report import machine
from tests.faults.catalogue import ON_A_CLUSTER, ON_ONE_NODE, SCENARIOS
from tests.faults.run import Outcome, Verdict
from tests.faults.scenarios.scenario import Finding

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
FAULTS = {**ON_ONE_NODE, **ON_A_CLUSTER}
TITLES = {
    **{name: fault.title for name, fault in FAULTS.items()},
    **{name: scenario.title for name, scenario in SCENARIOS.items()},
}


def fault_rows(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """A row for each fault, by its name: the worst of all its times."""
    by_name: dict[str, list[Outcome]] = {}
    for verdict in verdicts:
        for outcome in verdict.outcomes:
            by_name.setdefault(outcome.fault.name, []).append(outcome)
    return {
        name: _row(
            *(FAULTS[name].title, FAULTS[name].expected, str(len(outcomes))),
            f"{max(outcome.recovery for outcome in outcomes):.1f} s",
            f"{max(outcome.outage for outcome in outcomes):.1f} s",
            str(sum(outcome.lost for outcome in outcomes)),
            str(max(outcome.affected for outcome in outcomes)),
        )
        for name, outcomes in by_name.items()
    }


def scenario_rows(findings: dict[str, Finding]) -> dict[str, str]:
    """A row for each scenario, by its name."""
    return {
        name: _row(SCENARIOS[name].title, SCENARIOS[name].expected, finding.measured)
        for name, finding in findings.items()
    }


def write(rows: dict[str, str], *, about: str | None) -> None:
    """Put these rows in place of the same in docs/reliability.md, and leave the others
    as they are. `about`, if all were measured, is said above the tables."""
    text = PAGE.read_text()
    if about is not None:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        text = _between(text, "about", f"{today}, {about} {machine()}")
    for part, names in (("faults", FAULTS), ("scenarios", SCENARIOS)):
        head, rule, *old = _inside(text, part).splitlines()
        known = {line.split(" | ")[0].removeprefix("| "): line for line in old}
        lines = [rows.get(name) or known.get(TITLES[name]) for name in names]
        text = _between(text, part, "\n".join([head, rule, *filter(None, lines)]))
    PAGE.write_text(text)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _inside(text: str, part: str) -> str:
    found = re.search(rf"<!-- {part} -->\n(.*?)<!-- end of {part} -->", text, re.S)
    assert found is not None, f"{PAGE} has no mark {part}"
    return found[1].strip()


def _between(text: str, part: str, content: str) -> str:
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{content}\n{end}{rest.partition(end)[2]}"
