"""Whatever the task processor sends while NATS is away is told once it is back."""

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.flagsmith_api.flagsmith import Flagsmith
from tests.support.nats import NatsServer
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

T0, TOLD_0 = "2026-01-31T12:00:00+00:00", event("1769860800.0")
T1, TOLD_1 = "2026-01-31T12:00:01.500000+00:00", event("1769860801.5")
T2, TOLD_2 = "2026-01-31T12:00:02.028060+00:00", event("1769860802.02806")

PUT_BACK_SECONDS = 30
"""Two seconds, and time for a busy machine."""

TOLD_SECONDS = 60
"""The longest delay of a task, and time for a busy machine."""


@pytest.fixture
def service(nats: NatsServer, tmp_path: Path) -> Iterator[Service]:
    """The service whose subscribers are to be told."""
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        yield service


@asynccontextmanager
async def subscribers(service: Service, keys: list[str]) -> AsyncIterator[list[Stream]]:
    """A stream of each environment."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Stream(service.stream_url(key)))
            for key in keys
        ]


async def hears(stream: Stream, expected: str) -> None:
    """Wait until the stream was told of `expected`."""
    async with asyncio.timeout(TOLD_SECONDS):
        while await stream.next_block(TOLD_SECONDS) != expected:
            pass


def put_back(flagsmith: Flagsmith, key: str) -> bool:
    """Whether a task of the environment waits for later."""
    return any(t["waits"] and t["seconds"] > 0.4 for t in flagsmith.tasks(key))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_project__nats_away_in_the_middle__every_environment_is_told(
    flagsmith: Flagsmith,
    nats: NatsServer,
    service: Service,
    environment: str,
    log: Path,
    number: signal.Signals,
) -> None:
    # Given: so slow that the change of a project takes three seconds
    keys = [f"{environment}-{number}" for number in range(50)]
    project = flagsmith.create(keys)
    slow = {"threads": 2, "sleep_milliseconds": 100, "tasks_at_once": 1}
    async with subscribers(service, keys) as streams:
        hearing = [asyncio.ensure_future(hears(s, TOLD_1)) for s in streams]
        with flagsmith.processor(log, **slow):
            # When
            await asyncio.to_thread(flagsmith.change_project, project, T1)
            await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
            leave(nats, number)
            await asyncio.to_thread(
                eventually,
                lambda: put_back(flagsmith, environment),
                seconds=PUT_BACK_SECONDS,
                what="a task to be put back",
            )
            told = sum(task.done() for task in hearing)
            come_back(nats, number)

            # Then
            await asyncio.gather(*hearing)
    assert 0 < told < len(keys)
    # Not by the task processor's own three tries.
    assert not any(task["failures"] for task in flagsmith.tasks(environment))


def leave(nats: NatsServer, number: signal.Signals) -> None:
    if number == signal.SIGKILL:
        nats.kill()
    else:
        nats.signal(number)


def come_back(nats: NatsServer, number: signal.Signals) -> None:
    if number == signal.SIGKILL:
        nats.start()
    else:
        nats.signal(signal.SIGCONT)


async def test_environment__changed_again_while_nats_is_away__the_newest_is_told_last(
    flagsmith: Flagsmith,
    nats: NatsServer,
    service: Service,
    environment: str,
    log: Path,
) -> None:
    # Given
    flagsmith.create([environment])
    async with Stream(service.stream_url(environment)) as stream:
        with flagsmith.processor(log):
            nats.kill()
            await asyncio.to_thread(flagsmith.change_environment, environment, T1)
            await asyncio.to_thread(
                eventually,
                lambda: put_back(flagsmith, environment),
                seconds=PUT_BACK_SECONDS,
            )

            # When
            for at in (T0, T1, T2):
                await asyncio.to_thread(flagsmith.change_environment, environment, at)
            await asyncio.to_thread(
                eventually, lambda: len(waiting(flagsmith, environment)) == 1
            )
            nats.start()

            # Then: of four tasks one was left, and it was told what came last
            await hears(stream, TOLD_2)
            await asyncio.to_thread(
                eventually, lambda: not waiting(flagsmith, environment)
            )
    service.await_ready()
    async with Stream(service.stream_url(environment)) as later:
        assert await later.next_event() == TOLD_2


def waiting(flagsmith: Flagsmith, key: str) -> list[object]:
    return [task for task in flagsmith.tasks(key) if task["waits"]]


async def test_outbox__task_processor_replaced_meanwhile__the_next_one_tells(
    flagsmith: Flagsmith,
    nats: NatsServer,
    service: Service,
    environment: str,
    tmp_path: Path,
) -> None:
    # Given
    flagsmith.create([environment])
    async with Stream(service.stream_url(environment)) as stream:
        nats.kill()
        with flagsmith.processor(tmp_path / "first.log"):
            await asyncio.to_thread(flagsmith.change_environment, environment, T1)
            await asyncio.to_thread(
                eventually,
                lambda: put_back(flagsmith, environment),
                seconds=PUT_BACK_SECONDS,
            )

        # When
        nats.start()
        with flagsmith.processor(tmp_path / "second.log"):
            # Then
            await hears(stream, TOLD_1)


async def test_outbox__task_processor_without_the_app__sends_it_by_http(
    flagsmith: Flagsmith,
    nats: NatsServer,
    service: Service,
    environment: str,
    tmp_path: Path,
) -> None:
    """As while one image replaces the other, or for good."""
    # Given
    stock = dataclasses.replace(
        flagsmith,
        variables=flagsmith.variables
        | {"WITHOUT_INTEGRATION": "1", "SSE_SERVER_BASE_URL": service.url},
    )
    flagsmith.create([environment])
    async with Stream(service.stream_url(environment)) as stream:
        nats.kill()
        with flagsmith.processor(tmp_path / "with.log"):
            await asyncio.to_thread(flagsmith.change_environment, environment, T1)
            await asyncio.to_thread(
                eventually,
                lambda: put_back(flagsmith, environment),
                seconds=PUT_BACK_SECONDS,
            )
        nats.start()
        await asyncio.to_thread(service.await_ready)

        # When
        with stock.processor(tmp_path / "without.log"):
            # Then
            await hears(stream, TOLD_1)


async def test_outbox__first_update_stored_after_an_outage__calls_the_others_at_once(
    flagsmith: Flagsmith,
    nats: NatsServer,
    service: Service,
    environment: str,
    log: Path,
) -> None:
    # Given
    first, other = f"{environment}-first", f"{environment}-other"
    flagsmith.create([first, other])
    async with Stream(service.stream_url(other)) as stream:
        nats.kill()
        with flagsmith.processor(log):
            await asyncio.to_thread(flagsmith.run, TELL_IN_AN_HOUR, key=other, at=T1)
            await asyncio.to_thread(flagsmith.change_environment, first, T1)
            await asyncio.to_thread(
                eventually,
                lambda: put_back(flagsmith, first),
                seconds=PUT_BACK_SECONDS,
            )
            # When
            nats.start()
            # Then
            await hears(stream, TOLD_1)


TELL_IN_AN_HOUR = """
from datetime import timedelta
from django.utils import timezone
from sse import tasks
tasks.send_environment_update_message.delay(
    args=(arguments["key"], arguments["at"]),
    delay_until=timezone.now() + timedelta(hours=1),
)
"""


async def test_task__older_than_what_the_database_knows__the_newer_is_told(
    flagsmith: Flagsmith,
    service: Service,
    environment: str,
    log: Path,
) -> None:
    # Given
    flagsmith.create([environment])
    async with Stream(service.stream_url(environment)) as stream:
        with flagsmith.processor(log):
            await asyncio.to_thread(flagsmith.change_environment, environment, T2)
            assert await stream.next_event() == TOLD_2

            # When: a try that was late
            await asyncio.to_thread(
                flagsmith.run,
                "from sse import tasks\n"
                "tasks.send_environment_update_message.delay("
                "args=(arguments['key'], arguments['at']))",
                key=environment,
                at=T1,
            )

            # Then
            assert await stream.next_event() == TOLD_2


async def test_project__a_key_that_is_never_accepted__the_others_are_told(
    flagsmith: Flagsmith,
    service: Service,
    environment: str,
    log: Path,
) -> None:
    # Given
    project = flagsmith.create([f"*{environment}", environment])
    async with Stream(service.stream_url(environment)) as stream:
        with flagsmith.processor(log):
            # When
            await asyncio.to_thread(flagsmith.change_project, project, T1)

            # Then
            assert await stream.next_event() == TOLD_1
            await asyncio.to_thread(
                eventually,
                lambda: not waiting(flagsmith, f"*{environment}"),
                what="the task processor to give the key up",
            )
    assert [t["failures"] for t in flagsmith.tasks(f"*{environment}")] == [3]
