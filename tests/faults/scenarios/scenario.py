"""What a scenario is."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What was `measured`, in a few words for docs/reliability.md, and whatever was not
    as expected."""

    measured: str
    complaints: list[str]


@dataclass(frozen=True)
class Scenario:
    """`title` and `expected` are the words of docs/reliability.md. `measure` takes a
    folder for logs. It raises `AssertionError` where nothing can go on."""

    name: str
    title: str
    expected: str
    measure: Callable[[Path, Random], Coroutine[Any, Any, Finding]]


def unless(met: bool, complaint: str) -> list[str]:
    """`complaint`, unless what it complains of is `met`."""
    return [] if met else [complaint]
