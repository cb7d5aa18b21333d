"""How many processors a process may keep busy, with and without a CPU limit."""

import os
from pathlib import Path

import pytest

from realtime.process import processors


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("50000 100000", 1),
        ("250000 100000", 3),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_processors__cpu_quota__no_more_than_it_allows(
    tmp_path: Path, quota: str, expected: int
) -> None:
    # Given
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n")
    # When / Then
    assert processors(file) == expected


def test_processors__no_control_group__all_it_may_run_on(tmp_path: Path) -> None:
    # When / Then
    assert processors(tmp_path / "cpu.max") == 8
