"""How a process looks at itself: rarely, where it costs something."""

import asyncio
import os
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.conf import RealtimeSettings
from realtime.service import RealtimeService
from realtime.vitals import Vitals, open_files

FILES = 100


@pytest.mark.parametrize("kernel_tells", [True, False])
def test_open_files__more_opened__counted(
    monkeypatch: pytest.MonkeyPatch, kernel_tells: bool
) -> None:
    # Given
    if not kernel_tells:
        monkeypatch.setattr(os, "stat", lambda path: SimpleNamespace(st_size=0))
    before = open_files()

    # When
    with ExitStack() as stack:
        for _ in range(FILES):
            stack.enter_context(open(os.devnull))
        during = open_files()

    # Then
    assert during - before == FILES


def test_open_files__kernel_tells__not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setattr(os, "stat", lambda path: SimpleNamespace(st_size=15_000))
    monkeypatch.setattr(os, "listdir", None)

    # When / Then
    assert open_files() == 15_000


async def test_watch__a_worker__memory_and_files_looked_at_once_a_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    monkeypatch.setattr("realtime.vitals.SAMPLE_SECONDS", 0)
    monkeypatch.setattr("realtime.vitals.SAMPLES_PER_WINDOW", 10)
    vitals = Vitals(RealtimeService(RealtimeSettings(authentication_tokens=("t",))))
    worker: Any = Worker()
    monkeypatch.setattr(vitals, "_worker", worker)

    # When
    watching = asyncio.create_task(vitals.watch())
    async with asyncio.timeout(5):
        await worker.surveyed_again.wait()
    watching.cancel()

    # Then
    assert (worker.surveys, worker.samples) == (2, 10)


class Worker:
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        self.samples = self.surveys = 0
        self.surveyed_again = asyncio.Event()

    def count_cpu(self) -> None:
        if not self.surveyed_again.is_set():
            self.samples += 1

    def survey(self) -> None:
        self.surveys += 1
        if self.surveys == 2:
            self.surveyed_again.set()
