"""The supervisor, with workers that cannot be started when the test says so."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from realtime.process import WORKER
from realtime.server.supervisor import Supervisor
from tests.support.waiting import eventually_async

SLEEP = ("sleep", "60")


class Processes:
    """Starts processes that do nothing; the next `failures` of them not."""

    def __init__(self) -> None:
        self.failures = 0
        self.numbers: list[str] = []
        self._start = asyncio.create_subprocess_exec

    async def start(self, *_: str, **options: Any) -> asyncio.subprocess.Process:
        self.numbers.append(options["env"][WORKER])
        if self.failures:
            self.failures -= 1
            raise BlockingIOError("no process is left")
        return await self._start(*SLEEP, **options)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    processes = Processes()
    monkeypatch.setattr("asyncio.create_subprocess_exec", processes.start)
    monkeypatch.setattr("realtime.server.supervisor.FIRST_DELAY", 0.01)
    return processes


@asynccontextmanager
async def supervising() -> AsyncIterator[Supervisor]:
    """A supervisor whose one worker has been started."""
    supervisor = Supervisor(1, "127.0.0.1:0", dict(os.environ), drain=1)
    running = asyncio.create_task(supervisor.run())
    try:
        await eventually_async(lambda: supervisor._pool.running, what="the worker")
        yield supervisor
    finally:
        supervisor._stop(signal.SIGTERM)
        await running


async def test_start__fails_twice__tried_again_and_nothing_is_left_open(
    processes: Processes,
) -> None:
    # Given
    before = open_files()
    processes.failures = 2

    # When
    with capture_logs() as logs:
        async with supervising():
            after = open_files()

    # Then
    assert [event["event"] for event in logs[:4]] == [
        "supervisor.started",
        "worker.not_started",
        "worker.not_started",
        "worker.started",
    ]
    assert logs[1]["reason"] == "no process is left"
    assert processes.numbers == ["0", "0", "0"]
    # The listener and our end of the lifeline
    assert after - before == 2


async def test_replace__cannot_be_started__the_old_one_stays(
    processes: Processes,
) -> None:
    # Given
    async with supervising() as supervisor:
        before = open_files()
        [old] = supervisor._pool.running
        processes.failures = 1

        # When
        with capture_logs() as logs:
            supervisor._replacement.replace_all()
            await supervisor._replacement.finish()

        # Then
        assert [e["event"] for e in logs] == ["workers.replacing", "worker.not_started"]
        assert supervisor._pool.running == {old}
        assert old.process.returncode is None
        assert old.listener.fileno() >= 0
        assert open_files() == before


async def test_replace__new_one_never_ready__killed_and_the_old_one_stays(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr("realtime.server.replacement.READY_SECONDS", 0.1)
    async with supervising() as supervisor:
        [old] = supervisor._pool.running

        # When
        with capture_logs() as logs:
            supervisor._replacement.replace_all()
            await supervisor._replacement.finish()

        # Then
        assert [event["event"] for event in logs] == [
            "workers.replacing",
            "worker.started",
            "worker.not_replaced",
        ]
        assert logs[2]["reason"] == "not ready within 0.1 s: It has not answered yet."
        assert supervisor._pool.running == {old}


async def test_start__never_answers__killed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr("realtime.server.supervisor.BEAT_SECONDS", 0.01)

    # When
    with capture_logs() as logs:
        async with supervising() as supervisor:
            [first] = supervisor._pool.running
            await eventually_async(
                lambda: len(processes.numbers) == 2, what="another one"
            )

    # Then
    told = [(event["event"], event.get("reason")) for event in logs]
    assert ("worker.hung", None) in told
    assert ("worker.died", "killed by SIGKILL") in told
    assert first.process.returncode == -signal.SIGKILL


async def test_worker__killed_by_a_signal_without_a_name__started_again(
    processes: Processes,
) -> None:
    # Given
    with capture_logs() as logs:
        async with supervising() as supervisor:
            [first] = supervisor._pool.running

            # When
            first.signal(signal.SIGRTMIN + 1)
            await eventually_async(
                lambda: len(processes.numbers) == 2, what="another one"
            )

    # Then
    [died] = [event for event in logs if event["event"] == "worker.died"]
    assert died["reason"] == f"killed by signal {signal.SIGRTMIN + 1}"


async def test_stop__worker_still_ends__nothing_connects_to_the_supervisors_socket(
    processes: Processes,
) -> None:
    # Given
    async with supervising() as supervisor:
        [worker] = supervisor._pool.running

        # When
        supervisor._stop(signal.SIGTERM)

        # Then
        assert worker.process.returncode is None
        assert worker.listener.fileno() == -1
