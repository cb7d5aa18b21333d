"""The lifeline between a supervisor and its workers, both ends in this process."""

import asyncio
import ctypes
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import prometheus_client
import pytest

from realtime.exceptions import MetricsUnavailable
from realtime.fleet.history.minutes import Hour, Minute, Past
from realtime.server import messages
from realtime.server.supervisor_link import WorkerLifeline
from realtime.server.worker_process import HUNG_BEATS, START_BEATS, WorkerProcess
from tests.support.waiting import eventually_async

PTRACE_SEIZE = 0x4206
"""Traces a process without stopping it."""


class Server:
    """What the supervisor commands, written down."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def not_ready(self) -> str | None:
        return "NATS is not connected."

    def listen_within(self, seconds: float) -> None:
        self.commands.append(f"listen within {seconds:g}")

    def inherit(self, past: Past) -> None:
        self.commands.append(f"inherit {past.version}")

    def stay(self) -> None:
        self.commands.append("stay")

    def worker_died(self, died: messages.Died) -> None:
        self.commands.append(f"worker {died.worker} died: {died.reason}")

    def supervisor_died(self) -> None:
        self.commands.append("died")


class Both:
    """A worker as its supervisor sees it, and its own end of the lifeline."""

    def __init__(self, worker: WorkerProcess, end: socket.socket) -> None:
        self.worker = worker
        self.end = end
        self.lifeline = WorkerLifeline(end, worker.listener)
        self.server = Server()
        self.said: list[messages.AnyMessage] = []


@asynccontextmanager
async def both_ends() -> AsyncIterator[Both]:
    """Both ends; the worker's is not attached yet, and its process only sleeps."""
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec("sleep", "60")
    with socket.socket() as listener:
        said: list[messages.AnyMessage] = []
        worker = WorkerProcess(process, 0, 0, listener, lambda _, m: said.append(m))
        await worker.attach(ours)
        both = Both(worker, theirs)
        both.said = said
        try:
            yield both
        finally:
            await both.lifeline.close()
            theirs.close()
            worker.send(signal.SIGKILL)
            await worker.wait()


@pytest.fixture(autouse=True)
def _process_collector() -> Iterator[None]:
    yield
    registered = prometheus_client.REGISTRY._collector_to_names
    if prometheus_client.PROCESS_COLLECTOR not in registered:
        prometheus_client.REGISTRY.register(prometheus_client.PROCESS_COLLECTOR)


async def test_ask__worker_is_well__tells_its_metrics_and_readiness() -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)

        # When
        async with asyncio.timeout(5):
            await both.worker.ask()

        # Then
        names = {family.name for family in both.worker.families}
        assert "flagsmith_sse_updates" in names
        assert "process_open_fds" not in names
        assert both.worker.not_ready == "NATS is not connected."


async def test_ask__collector_fails__answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)
        monkeypatch.setattr(prometheus_client.REGISTRY, "collect", None)

        # When
        async with asyncio.timeout(5):
            await both.worker.ask()

        # Then
        assert both.worker.families == []
        assert both.worker.not_ready == "NATS is not connected."


async def test_tell__commands__followed_and_unknown_ones_passed_over() -> None:
    class Dance(messages.Message):
        steps: int

    class Listen(messages.Message):
        within: float
        added_later: str = "x"

    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)

        # When
        both.worker.tell(Dance(3))
        both.worker.tell(Listen(2))
        both.worker.tell(messages.Stay())
        both.worker.tell(messages.Died(1, 4711, "killed by SIGKILL", 1.0))
        async with asyncio.timeout(5):
            await both.worker.ask()

        # Then
        assert both.server.commands == [
            "listen within 2",
            "stay",
            "worker 1 died: killed by SIGKILL",
        ]


async def test_history__of_both_ends__arrives_whole() -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)
        hour = Hour(5.0, (Minute(7, 1, 2, 3, 4, 5, [6], [8]),))
        past = Past(supervisor="supervisor-1", version=3, of=("sse-a",), hour=hour)

        # When
        both.lifeline.remember("sse-b", hour, leaves=True)
        both.worker.tell(messages.Inherit(past))
        async with asyncio.timeout(5):
            await both.worker.ask()

        # Then
        assert both.said == [messages.Remember("sse-b", hour, leaves=True)]
        assert both.server.commands == ["inherit 3"]


async def test_worker__says_something__arrives() -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)

        # When
        both.lifeline.listening()
        both.lifeline.leave()

        # Then
        assert await both.worker.listens(5)
        async with asyncio.timeout(5):
            await both.worker.ask()
        assert both.said == [messages.Listening(), messages.Leave()]


async def test_scrape__several_at_once__one_question_and_one_answer_for_all() -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)

        # When
        scrapes = [asyncio.create_task(both.lifeline.scrape()) for _ in range(3)]
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            await both.worker.ask()
        both.worker.tell(messages.Exposition(b"metrics"))

        # Then
        assert await asyncio.gather(*scrapes) == [b"metrics"] * 3
        assert both.said == [messages.Scrape()]


async def test_scrape__supervisor_silent__unavailable_and_asked_anew_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)
        with monkeypatch.context() as patch:
            patch.setattr("realtime.server.supervisor_link.SCRAPE_SECONDS", 0.01)
            with pytest.raises(MetricsUnavailable):
                await both.lifeline.scrape()

        # When
        scraping = asyncio.create_task(both.lifeline.scrape())
        await asyncio.sleep(0)
        both.worker.tell(messages.Exposition(b"metrics"))

        # Then
        assert await scraping == b"metrics"


async def test_scrape__an_earlier_one_gives_up__a_later_one_gets_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both_ends() as both:
        # Given: two that wait for the same answer, the second for longer
        await both.lifeline.attach(both.server)
        loop = asyncio.get_running_loop()
        scrapes = []
        for seconds in (0.01, 0.05, 60.0):
            monkeypatch.setattr(
                "realtime.server.supervisor_link.SCRAPE_SECONDS", seconds
            )
            scrapes.append(loop.create_task(both.lifeline.scrape()))
            await asyncio.sleep(0)
            if len(scrapes) == 2:
                # The first has given up; the third asks anew.
                await asyncio.wait(scrapes[:1])
        # When
        await asyncio.wait(scrapes[:2])
        both.worker.tell(messages.Exposition(b"metrics"))

        # Then
        async with asyncio.timeout(5):
            assert await scrapes[2] == b"metrics"
        assert [type(scrape.exception()) for scrape in scrapes[:2]] == [
            MetricsUnavailable
        ] * 2


async def test_beats__never_answered__hangs_after_its_start_should_be_over() -> None:
    async with both_ends() as both:
        # Given: asked, and not counted as silent yet
        both.worker.beat()

        # When
        for _ in range(START_BEATS - 1):
            both.worker.beat()
        before = both.worker.hangs()
        both.worker.beat()

        # Then
        assert not before
        assert both.worker.hangs()


async def test_beats__answered_before__hangs_after_ten() -> None:
    async with both_ends() as both:
        # Given
        await both.lifeline.attach(both.server)
        async with asyncio.timeout(5):
            await both.worker.ask()

        # When: without a turn of the event loop it cannot answer
        both.worker.beat()
        for _ in range(HUNG_BEATS - 1):
            both.worker.beat()
        before = both.worker.hangs()
        both.worker.beat()

        # Then
        assert not before
        assert both.worker.hangs()
        assert both.worker.silent

        # When
        async with asyncio.timeout(5):
            await both.worker.ask()

        # Then
        assert not both.worker.hangs()
        assert not both.worker.silent


async def test_ask__answer_of_a_version_that_is_not_understood__sign_of_life() -> None:
    class Told(messages.Message):
        families: str

    async with both_ends() as both:
        # Given
        asked = both.worker.ask()
        for _ in range(HUNG_BEATS):
            both.worker.beat()

        # When
        both.end.sendall(messages.frame_of(Told("other")))
        async with asyncio.timeout(5):
            await asked

        # Then
        assert not both.worker.silent
        assert both.worker.families == []


async def test_beats__held_by_a_debugger__does_not_hang() -> None:
    async with both_ends() as both:
        # Given
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.ptrace(PTRACE_SEIZE, both.worker.pid, None, None) == 0

        # When
        for _ in range(2 * START_BEATS):
            both.worker.beat()

        # Then
        assert not both.worker.hangs()


async def test_supervisor__dies__worker_told() -> None:
    # Given
    ours, theirs = socket.socketpair()
    with socket.socket() as listener:
        lifeline, server = WorkerLifeline(theirs, listener), Server()
        await lifeline.attach(server)

        # When
        ours.close()

        # Then
        await eventually_async(lambda: server.commands, what="the news")
        assert server.commands == ["died"]
        await lifeline.close()


def test_frame__message__length_and_type() -> None:
    # When
    frame = messages.frame_of(messages.Ask(7))

    # Then
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert msgspec.msgpack.decode(frame[4:]) == {"type": "Ask", "number": 7}
