"""What a fault is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.faults.entries import Incident

if TYPE_CHECKING:
    from tests.faults.stand import Stand

Inject = Callable[["Stand", Incident, Random], Awaitable[None]]
"""Brings the fault about and takes its cause away again. Where it goes on to wait for
what the service does then, it says before when the fault was `healed`. Whatever it
raises, such as an `AssertionError` if what it expects does not happen, is a complaint.
"""


@dataclass(frozen=True)
class Fault:
    """`title` and `expected` are the words of docs/reliability.md. `spares` is whether
    no stream may end, `clean` whether those that do must end as HTTP says, and `outage`
    for how many seconds publishes may fail, where that is limited, at each of its steps
    if it has several."""

    name: str
    title: str
    expected: str
    inject: Inject
    spares: bool = True
    clean: bool = False
    outage: float = float("inf")
