"""`python -m tests.faults [--seed N] [--minutes M] [fault …]`: inject faults, check
what became of every update, and write docs/reliability.md."""

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.faults import report
from tests.faults.catalogue import NAMES, ON_A_CLUSTER, ON_ONE_NODE, SCENARIOS, SHORT
from tests.faults.run import Verdict, run, say
from tests.faults.scenarios.scenario import Finding, Scenario

EPILOGUE = f"""\
faults of one nats-server, its stream and our processes, under the ledger:
  {" ".join(ON_ONE_NODE)}
faults of a cluster of three, under the ledger:
  {" ".join(ON_A_CLUSTER)}
scenarios, each with a service of its own:
  {" ".join(SCENARIOS)}

The same seed and the same names give the same schedule, so a run that failed can be
repeated; it says where the logs are. The exit code is 0 if all was as expected.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Publish to many environments, hold many subscribers that "
        "reconnect as an SDK does, inject faults, and check by a ledger that every "
        "acknowledged update reached every subscriber, in order, and that everything "
        "is back at its level afterwards.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="fault", help="which ones (default: all)"
    )
    parser.add_argument(
        "--short", action="store_true", help="the two minutes that `make test` runs"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.randrange(1_000_000),
        metavar="N",
        help="of the schedule (default: another one each time)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=0,
        metavar="M",
        help="go on with the faults under the ledger, in ever other orders, until so "
        "much time has passed (default: each once)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        metavar="N",
        help="how many seeds in a row, counted up (default: 1)",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write what was measured to docs/reliability.md, which is done anyhow "
        "where all were measured and went well",
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    options = arguments()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    names = options.names or (SHORT if options.short else NAMES)
    if "vanished" in names and os.geteuid() != 0:
        sys.exit("The fault 'vanished' makes a network namespace: run this as root.")
    seeds = range(options.seed, options.seed + options.rounds)
    verdicts: list[Verdict] = []
    findings: dict[str, Finding] = {}
    for seed in seeds:
        for group, cluster in ((ON_ONE_NODE, False), (ON_A_CLUSTER, True)):
            faults = [group[name] for name in names if name in group]
            if faults:
                # The time is shared by the number of faults.
                share = options.minutes * 60 * len(faults) / len(names)
                verdict = asyncio.run(run(faults, seed, share, cluster=cluster))
                verdicts.append(verdict)
    for name in names:
        if name in SCENARIOS:
            findings[name] = measure(SCENARIOS[name], options.seed)
    complaints = [c for verdict in verdicts for c in verdict.all_complaints]
    complaints += [c for finding in findings.values() for c in finding.complaints]
    rows = {**report.fault_rows(verdicts), **report.scenario_rows(findings)}
    complete = set(rows) == set(NAMES)
    say("\n".join(rows.values()))
    for complaint in complaints:
        say(f"NOT AS EXPECTED: {complaint}")
    if complaints:
        again = " ".join([*options.names, "--short" if options.short else ""])
        say(f"again: python -m tests.faults --seed {options.seed} {again}".rstrip())
    elif complete or options.write:
        report.write(rows, about=about(verdicts, seeds) if complete else None)
    sys.exit(bool(complaints))


def measure(scenario: Scenario, seed: int) -> Finding:
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    say(f"{scenario.name}, logs in {folder}")
    finding = asyncio.run(scenario.measure(folder, random.Random(seed)))
    say(f"  {finding.measured}")
    return finding


def about(verdicts: list[Verdict], seeds: range) -> str:
    """What the ledgers held together."""
    updates = sum(verdict.updates for verdict in verdicts)
    deliveries = sum(verdict.deliveries for verdict in verdicts)
    slowest = max(verdict.slowest_answer for verdict in verdicts)
    names = ", ".join(map(str, seeds))
    return (
        f"seeds {names}: {updates:,} updates were published and {deliveries:,} "
        f"deliveries entered; the slowest answer to a publish took {slowest:.2f} s."
    )


if __name__ == "__main__":
    main()
