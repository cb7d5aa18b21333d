"""The link between a supervisor and its workers, both ends in this process."""

import asyncio
import ctypes
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import prometheus_client
import pytest

from realtime.exceptions import MetricsUnavailable
from realtime.fleet.history.minutes import Hour, Minute, Past
from realtime.lifecycle import Refusal
from realtime.server import messages
from realtime.server.worker import Worker
from realtime.server.worker_process import HUNG_BEATS, START_BEATS, WorkerProcess
from tests.support.waiting import eventually_async

PTRACE_SEIZE = 0x4206
"""Traces a process without stopping it."""


class FakeService:
    """The service of the worker; what the supervisor commands is written down."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.not_ready = Refusal("nats", "NATS is not connected.")
        self.lifecycle = self.recorder = self.event_recorder = self
        self.instance = "sse-b"
        self.hour = Hour(5.0, (Minute(7, 1, 2, 3, 4, 5, [6], [8]),))

    def state(self) -> Hour:
        return self.hour

    def stay(self) -> None:
        self.commands.append("stay")

    def worker_died(self, worker: int, pid: int, reason: str, at: float) -> None:
        self.commands.append(f"worker {worker} died: {reason}")

    def keep_running(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        work.close()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "past":
            self.commands.append(f"inherit {value.version}")
        super().__setattr__(name, value)


class Both:
    """A worker as its supervisor sees it, and its own end of the link."""

    def __init__(self, process: WorkerProcess, end: socket.socket) -> None:
        self.process = process
        self.end = end
        self.service = FakeService()
        self.worker = Worker(end, self.service)  # type: ignore[arg-type]  # its double
        self.said: list[messages.AnyMessage] = []

    async def attach(self) -> None:
        await self.worker.attach(lambda: self.service.commands.append("died"))


@asynccontextmanager
async def both_ends() -> AsyncIterator[Both]:
    """Both ends; the worker's is not attached yet, and its process only sleeps."""
    ours, theirs = socket.socketpair()
    sleeping = await asyncio.create_subprocess_exec("sleep", "60")
    with socket.socket() as listener:
        said: list[messages.AnyMessage] = []
        link = await messages.Link.over(ours)
        process = WorkerProcess(
            sleeping, link, 0, 0, listener, lambda _, message: said.append(message)
        )
        both = Both(process, theirs)
        both.said = said
        try:
            yield both
        finally:
            await both.worker.close()
            theirs.close()
            process.signal(signal.SIGKILL)
            await process.wait()


@pytest.fixture(autouse=True)
def _process_collector() -> Iterator[None]:
    yield
    registered = prometheus_client.REGISTRY._collector_to_names
    if prometheus_client.PROCESS_COLLECTOR not in registered:
        prometheus_client.REGISTRY.register(prometheus_client.PROCESS_COLLECTOR)


async def test_ask__worker_is_well__tells_its_metrics_and_readiness() -> None:
    async with both_ends() as both:
        # Given
        await both.attach()

        # When
        async with asyncio.timeout(5):
            await both.process.ask()

        # Then
        names = {family.name for family in both.process.families}
        assert "flagsmith_sse_updates" in names
        assert "process_open_fds" not in names
        assert both.process.not_ready == "NATS is not connected."


async def test_ask__collector_fails__answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both_ends() as both:
        # Given
        await both.attach()
        monkeypatch.setattr(prometheus_client.REGISTRY, "collect", None)

        # When
        async with asyncio.timeout(5):
            await both.process.ask()

        # Then
        assert both.process.families == []
        assert both.process.not_ready == "NATS is not connected."


async def test_tell__commands__followed_and_unknown_ones_passed_over() -> None:
    class Dance(messages.Message):
        steps: int

    class Listen(messages.Message):
        within: float
        added_later: str = "x"

    async with both_ends() as both:
        # Given
        await both.attach()

        # When
        both.process.tell(Dance(3))
        both.process.tell(Listen(0))
        both.process.tell(messages.Stay())
        both.process.tell(messages.Died(1, 4711, "killed by SIGKILL", 1.0))
        async with asyncio.timeout(5):
            await both.process.ask()

        # Then
        assert both.service.commands == ["stay", "worker 1 died: killed by SIGKILL"]
        await asyncio.wait_for(both.worker.may_listen.wait(), 5)


async def test_history__of_both_ends__arrives_whole() -> None:
    async with both_ends() as both:
        # Given
        await both.attach()
        hour = both.service.hour
        past = Past(supervisor="supervisor-1", version=3, of=("sse-a",), hour=hour)

        # When
        both.worker.leaves()
        both.process.tell(messages.Inherit(past))
        async with asyncio.timeout(5):
            await both.process.ask()

        # Then
        assert both.said == [messages.Remember("sse-b", hour, leaves=True)]
        assert both.service.commands == ["inherit 3"]


async def test_worker__says_something__arrives() -> None:
    async with both_ends() as both:
        # Given
        await both.attach()

        # When
        both.worker.listens()
        both.worker.leave()

        # Then
        assert await both.process.listens(5)
        async with asyncio.timeout(5):
            await both.process.ask()
        assert both.said == [messages.Listening(), messages.Leave()]


async def test_scrape__several_at_once__one_question_and_one_answer_for_all() -> None:
    async with both_ends() as both:
        # Given
        await both.attach()

        # When
        scrapes = [asyncio.create_task(both.worker.scrape()) for _ in range(3)]
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            await both.process.ask()
        both.process.tell(messages.Exposition(b"metrics"))

        # Then
        assert await asyncio.gather(*scrapes) == [b"metrics"] * 3
        assert both.said == [messages.Scrape()]


async def test_scrape__supervisor_silent__unavailable_and_asked_anew_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both_ends() as both:
        # Given
        await both.attach()
        with monkeypatch.context() as patch:
            patch.setattr("realtime.server.worker.SCRAPE_SECONDS", 0.01)
            with pytest.raises(MetricsUnavailable):
                await both.worker.scrape()

        # When
        scraping = asyncio.create_task(both.worker.scrape())
        await asyncio.sleep(0)
        both.process.tell(messages.Exposition(b"metrics"))

        # Then
        assert await scraping == b"metrics"


async def test_scrape__an_earlier_one_gives_up__a_later_one_gets_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both_ends() as both:
        # Given: two that wait for the same answer, the second for longer
        await both.attach()
        loop = asyncio.get_running_loop()
        scrapes = []
        for seconds in (0.01, 0.05, 60.0):
            monkeypatch.setattr("realtime.server.worker.SCRAPE_SECONDS", seconds)
            scrapes.append(loop.create_task(both.worker.scrape()))
            await asyncio.sleep(0)
            if len(scrapes) == 2:
                # The first has given up; the third asks anew.
                await asyncio.wait(scrapes[:1])
        # When
        await asyncio.wait(scrapes[:2])
        both.process.tell(messages.Exposition(b"metrics"))

        # Then
        async with asyncio.timeout(5):
            assert await scrapes[2] == b"metrics"
        assert [type(scrape.exception()) for scrape in scrapes[:2]] == [
            MetricsUnavailable
        ] * 2


async def test_beats__never_answered__hangs_after_its_start_should_be_over() -> None:
    async with both_ends() as both:
        # Given: asked, and not counted as silent yet
        both.process.beat()

        # When
        for _ in range(START_BEATS - 1):
            both.process.beat()
        before = both.process.hangs()
        both.process.beat()

        # Then
        assert not before
        assert both.process.hangs()


async def test_beats__answered_before__hangs_after_ten() -> None:
    async with both_ends() as both:
        # Given
        await both.attach()
        async with asyncio.timeout(5):
            await both.process.ask()

        # When: without a turn of the event loop it cannot answer
        both.process.beat()
        for _ in range(HUNG_BEATS - 1):
            both.process.beat()
        before = both.process.hangs()
        both.process.beat()

        # Then
        assert not before
        assert both.process.hangs()
        assert both.process.silent

        # When
        async with asyncio.timeout(5):
            await both.process.ask()

        # Then
        assert not both.process.hangs()
        assert not both.process.silent


async def test_ask__answer_of_a_version_that_is_not_understood__sign_of_life() -> None:
    class Told(messages.Message):
        families: str

    async with both_ends() as both:
        # Given
        asked = both.process.ask()
        for _ in range(HUNG_BEATS):
            both.process.beat()

        # When
        both.end.sendall(messages.frame_of(Told("other")))
        async with asyncio.timeout(5):
            await asked

        # Then
        assert not both.process.silent
        assert both.process.families == []


async def test_beats__held_by_a_debugger__does_not_hang() -> None:
    async with both_ends() as both:
        # Given
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.ptrace(PTRACE_SEIZE, both.process.pid, None, None) == 0

        # When
        for _ in range(2 * START_BEATS):
            both.process.beat()

        # Then
        assert not both.process.hangs()


async def test_supervisor__dies__worker_told() -> None:
    # Given
    ours, theirs = socket.socketpair()
    service = FakeService()
    worker = Worker(theirs, service)  # type: ignore[arg-type]  # its double
    await worker.attach(lambda: service.commands.append("died"))

    # When
    ours.close()

    # Then
    await eventually_async(lambda: service.commands, what="the news")
    assert service.commands == ["died"]
    await worker.close()


def test_frame__message__length_and_type() -> None:
    # When
    frame = messages.frame_of(messages.Ask(7))

    # Then
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert msgspec.msgpack.decode(frame[4:]) == {"type": "Ask", "number": 7}
