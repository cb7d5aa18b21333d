"""What a fault is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.faults.ledger import Incident

if TYPE_CHECKING:
    from tests.faults.stand import Stand

Inject = Callable[["Stand", Incident, Random], Awaitable[None]]
"""Brings the fault about and takes its cause away again. Raises `AssertionError` if
what it expects meanwhile does not happen."""


@dataclass(frozen=True)
class Fault:
    """`title` and `expected` are the words of docs/reliability.md. `spares` is whether
    no stream may end, `clean` whether those that do must end as HTTP says, and `outage`
    for how many seconds publishes may fail, where that is limited."""

    name: str
    title: str
    expected: str
    inject: Inject
    spares: bool = True
    clean: bool = False
    outage: float = float("inf")
