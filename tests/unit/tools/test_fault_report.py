"""What `make faults` says: how to repeat what failed, and docs/reliability.md, which
nobody else may fill."""

import re
from pathlib import Path

import pytest

from tests.bench.report import PACKAGES
from tests.faults import report
from tests.faults.__main__ import again, arguments
from tests.faults.catalogue import SCENARIOS
from tests.faults.fault import Fault
from tests.faults.report import FAULTS, PAGE, fault_rows, inside
from tests.faults.rounds import Round
from tests.faults.run import Outcome, Verdict
from tests.faults.scenarios.scenario import Finding

ABOUT = re.compile(
    r"\d{4}-\d\d-\d\d\. Rounds in a row that passed: (\d+) \([0-9.]+ minutes\); "
    r"seeds: ([\d, ]+)\. [\d,]+ updates were published and [\d,]+ deliveries entered; "
    r"the slowest answer to a publish took [0-2]\.\d\d s \(for \d\.\d\d s of that the "
    r"publisher itself waited for the processor\)\. \d+ cores of .+\."
)
MEASURED = re.compile(
    r"[1-9]\d* \| \d+\.\d s \| \d+\.\d s \| [0-2]\.\d\d s \| 0 \| \d+ \| \d+ \| \d+"
)


def outcome(fault: Fault, recovery: float, complaints: tuple[str, ...] = ()) -> Outcome:
    return Outcome(fault, recovery, 1.0, 0.5, 0, 2, 1, 3, list(complaints))


def verdict(*outcomes: Outcome) -> Verdict:
    return Verdict(list(outcomes), [], updates=9, deliveries=9, slowest_answer=1, lag=0)


@pytest.mark.parametrize(
    "given",
    [
        "--seed 4 --minutes 10 --rounds 5",
        "--seed 4 --rounds 2 --short",
        "--seed 4 --minutes 0.5 kill storm",
        "--seed 4",
    ],
)
def test_again__any_options__the_same_but_of_that_round_alone(given: str) -> None:
    # Given
    options = arguments(given.split())
    # When
    repeated = arguments(again(options, 6).split()[3:])
    # Then
    assert vars(repeated) == {**vars(options), "seed": 6, "rounds": 1}


def test_complaints__whatever_went_wrong__all_of_it() -> None:
    # Given
    turn = Round(1)
    turn.verdicts.append(verdict(outcome(FAULTS["kill"], 1, ("3 streams ended",))))
    turn.findings["storm"] = Finding("much", ["health took 2 s"])
    # When
    turn.failures.append("cluster: OSError('no port')")
    # Then
    assert turn.complaints == [
        "kill: 3 streams ended",
        "storm: health took 2 s",
        "cluster: OSError('no port')",
    ]


def test_attempt__error_of_any_kind__is_a_failure_and_the_round_goes_on() -> None:
    # Given
    async def broken() -> None:
        raise ConnectionResetError("by NATS")

    turn = Round(1)
    # When
    turn._attempt("one node", broken())
    # Then
    assert turn.complaints == ["one node: ConnectionResetError('by NATS')"]


def test_fault_rows__several_times__the_worst() -> None:
    # Given
    first, second = Round(1), Round(2)
    first.verdicts.append(verdict(outcome(FAULTS["kill"], 1.0)))
    second.verdicts.append(verdict(outcome(FAULTS["kill"], 2.0)))
    # When
    [row] = fault_rows([first, second]).values()
    # Then
    assert row.endswith("| 2 | 2.0 s | 1.0 s | 0.50 s | 0 | 4 | 2 | 3 |")


def written(text: str) -> None:
    """Fails unless all between the marks of `text` is what a complete run writes."""
    about = inside(text, "about")
    found = ABOUT.fullmatch(about)
    assert found, about
    assert len(found[2].split(", ")) == int(found[1])
    for package in (*PACKAGES, "nats-server: v"):
        assert package in about
    _, _, *faults = inside(text, "faults").splitlines()
    for line, fault in zip(faults, FAULTS.values(), strict=True):
        begin = f"| {fault.title} | {fault.expected} | "
        assert line.startswith(begin), line
        assert MEASURED.fullmatch(line.removeprefix(begin).removesuffix(" |")), line
    _, _, *scenarios = inside(text, "scenarios").splitlines()
    for line, scenario in zip(scenarios, SCENARIOS.values(), strict=True):
        begin = f"| {scenario.title} | {scenario.expected} | "
        assert line.startswith(begin), line
        assert re.fullmatch(r"[^|]+ \|", line.removeprefix(begin)), line


def test_page__as_it_is__written_by_a_complete_run() -> None:
    written(PAGE.read_text())


def test_write__whatever_stood_there__replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text().replace(" | 0 | ", " | by hand | "))
    monkeypatch.setattr(report, "PAGE", page)
    turn = Round(1, findings={name: Finding("much", []) for name in SCENARIOS})
    turn.verdicts.append(verdict(*(outcome(f, 1.0) for f in FAULTS.values())))
    # When
    report.write([turn], minutes=10)
    # Then
    written(page.read_text())
