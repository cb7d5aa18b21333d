"""Which faults come when: drawn from a seed, so that a run can be repeated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.fault import Fault

SHORTEST_GAP, LONGEST_GAP = 0.5, 4.0
"""Seconds of calm before a fault: some longer than what the ledger allows for."""


@dataclass(frozen=True)
class Turn:
    """`gap` seconds of calm, then `fault`, whose details are drawn from `seed`."""

    gap: float
    fault: Fault
    seed: int

    def __str__(self) -> str:
        return f"{self.gap:.2f} s of calm, {self.fault.name} ({self.seed})"


def schedule(faults: Sequence[Fault], seed: int) -> Iterator[Turn]:
    """All of the faults in random order, then all of them in another order, and so on
    for ever."""
    rng = Random(seed)
    while True:
        for fault in rng.sample(faults, len(faults)):
            gap = rng.uniform(SHORTEST_GAP, LONGEST_GAP)
            yield Turn(gap, fault, rng.getrandbits(32))
