"""`python -m tests.faults [--seed N] [--minutes M] [fault …]`: inject faults, check
what became of every update, and write docs/reliability.md."""

import argparse
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults import report
from tests.faults.catalogue import NAMES, ON_A_CLUSTER, ON_ONE_NODE, SCENARIOS, SHORT
from tests.faults.rounds import Round
from tests.faults.run import say

EPILOGUE = f"""\
faults of one nats-server, its stream and our processes, under the ledger:
  {" ".join(ON_ONE_NODE)}
faults of a cluster of three, under the ledger:
  {" ".join(ON_A_CLUSTER)}
scenarios, each with a service of its own:
  {" ".join(SCENARIOS)}

The same seed and the same names give the same schedule, so a round that failed can be
repeated: it says how, and where the logs are. The exit code is 0 if all was as
expected; if that was all that there is, it is written to docs/reliability.md.
"""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Publish to many environments as Flagsmith's task processor does, "
        "hold many subscribers that reconnect as an SDK does, inject faults, and check "
        "by a ledger that every update reached every subscriber, in order, whatever "
        "its publisher was answered, and that everything is back at its level "
        "afterwards.",
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
        help="go on with the faults under the ledger, in ever other orders, until a "
        "round has taken so long (default: each once)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        metavar="N",
        help="how many rounds in a row, with seeds counted up (default: 1)",
    )
    options = parser.parse_args(given)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    return options


def again(options: argparse.Namespace, seed: int) -> str:
    """The command line of the round with this seed."""
    words = ["python", "-m", "tests.faults", "--seed", str(seed)]
    if options.minutes:
        words += ["--minutes", f"{options.minutes:g}"]
    if options.short:
        words.append("--short")
    return " ".join([*words, *options.names])


def main() -> None:
    options = arguments()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    names = options.names or (SHORT if options.short else NAMES)
    if "vanished" in names and os.geteuid() != 0:
        sys.exit("The fault 'vanished' makes a network namespace: run this as root.")
    rounds = [Round(options.seed + number) for number in range(options.rounds)]
    for turn in rounds:
        turn.take(names, options.minutes)
        for complaint in turn.complaints:
            say(f"NOT AS EXPECTED: {complaint}")
        if turn.complaints:
            say(f"again: {again(options, turn.seed)}")
    say("\n".join(report.rows(rounds).values()))
    failed = [turn for turn in rounds if turn.complaints]
    say(f"{len(rounds) - len(failed)} of {len(rounds)} rounds were as expected")
    if not failed and set(names) == set(NAMES):
        report.write(rounds, options.minutes)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
