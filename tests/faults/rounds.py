"""A round: all that was asked for, with one seed."""

import asyncio
import random
import tempfile
import time
import traceback
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.faults.catalogue import ON_A_CLUSTER, ON_ONE_NODE, SCENARIOS
from tests.faults.run import Verdict, run, say
from tests.faults.scenarios.scenario import Finding, Scenario

T = TypeVar("T")


@dataclass
class Round:
    """What became of it; `failures` are of what has no verdict or finding, because it
    could not go on."""

    seed: int
    verdicts: list[Verdict] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """Whatever was not as expected."""
        of_faults = [c for verdict in self.verdicts for c in verdict.all_complaints]
        of_scenarios = [
            f"{name}: {complaint}"
            for name, finding in self.findings.items()
            for complaint in finding.complaints
        ]
        return of_faults + of_scenarios + self.failures

    def take(self, names: Sequence[str], minutes: float) -> None:
        """The scenarios, then the faults under the ledger, each once and until so much
        time has passed."""
        end = time.monotonic() + minutes * 60
        for name in names:
            if name in SCENARIOS:
                finding = self._attempt(name, _measure(SCENARIOS[name], self.seed))
                if finding is not None:
                    self.findings[name] = finding
        one_node = [ON_ONE_NODE[name] for name in names if name in ON_ONE_NODE]
        cluster = [ON_A_CLUSTER[name] for name in names if name in ON_A_CLUSTER]
        # The time that is left is shared by the number of faults.
        share = (end - time.monotonic()) / max(1, len(one_node) + len(cluster))
        for what, faults in (("one node", one_node), ("cluster", cluster)):
            if faults:
                seconds = share * len(faults)
                suffered = run(faults, self.seed, seconds, cluster=faults is cluster)
                verdict = self._attempt(what, suffered)
                if verdict is not None:
                    self.verdicts.append(verdict)

    def _attempt(self, what: str, work: Coroutine[Any, Any, T]) -> T | None:
        """What comes of it; None if it could not go on, for whatever reason."""
        try:
            return asyncio.run(work)
        except Exception as error:
            traceback.print_exc()
            self.failures.append(f"{what}: {error!r}")
            return None


async def _measure(scenario: Scenario, seed: int) -> Finding:
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    say(f"{scenario.name}, logs in {folder}")
    finding = await scenario.measure(folder, random.Random(seed))
    say(f"  {finding.measured}")
    return finding
