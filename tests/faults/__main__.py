"""`python -m tests.faults [--seed N] [--minutes M] [fault …]`: inject, check, report."""

import argparse
import asyncio
import os
import random
import sys
from pathlib import Path

from tests.faults.cluster_faults import CLUSTER_FAULTS
from tests.faults.node_faults import NODE_FAULTS
from tests.faults.process_faults import PROCESS_FAULTS
from tests.faults.run import run, say
from tests.faults.stream_faults import STREAM_FAULTS


def main() -> None:
    on_node = {f.name: f for f in (*NODE_FAULTS, *STREAM_FAULTS, *PROCESS_FAULTS)}
    on_cluster = {f.name: f for f in CLUSTER_FAULTS}
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("faults", nargs="*")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--minutes", type=float, default=0)
    o = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    chosen = o.faults or [*on_node, *on_cluster]
    bad = []
    for group, cluster in ((on_node, False), (on_cluster, True)):
        faults = [group[n] for n in chosen if n in group]
        if faults:
            v = asyncio.run(run(faults, o.seed, o.minutes * 60, cluster=cluster))
            bad += v.all_complaints
            say(
                f"{v.updates} updates, {v.deliveries} deliveries, slowest answer {v.slowest_answer:.2f}"
            )
    for line in bad[:50]:
        say(line)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
