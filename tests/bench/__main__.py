"""`python -m tests.bench [--rounds N] [row …]`: measure, print one table, and, when all
rows were measured, write docs/benchmarks.md."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench import report
from tests.bench.rows import ROWS, Bench, Result
from tests.set_up import NCHAN


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure the service."
    )
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help=f"what to measure (default: all): {', '.join(ROWS)}",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often, for the median (default: 5)",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="replace the measured rows in docs/benchmarks.md, where only some are "
        "measured",
    )
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for program in ("wrk", "taskset", "nats-server"):
        if not shutil.which(program):
            sys.exit(f"make bench needs {program}: install it and try again.")
    chosen = options.rows or list(ROWS)
    if not (shutil.which("nginx") and NCHAN.exists()):
        print("There is no nginx with nchan: the comparison with it is left out.")
        chosen = [row for row in chosen if row != "nchan"]
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.rounds)
        for row in chosen:
            print(f"{row} …", file=sys.stderr, flush=True)
            results += ROWS[row](bench)
            print(report.table(results[-3:]), file=sys.stderr, flush=True)
    print(report.table(results))
    if not options.rows:
        report.write(results, options.rounds)
    elif options.write:
        report.update(results)


if __name__ == "__main__":
    main()
