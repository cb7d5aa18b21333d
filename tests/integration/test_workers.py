"""`serve --workers N`: processes that share a port, watched, replaced and stopped."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import requests

from realtime.process import processors
from realtime.server.embedded_nats import EmbeddedNats
from realtime.server.worker_process import BEAT_SECONDS, HUNG_BEATS
from tests.integration.test_commands import manage, one_line
from tests.support.crowd import crowd
from tests.support.processes import file_limits, sockets
from tests.support.service import TOKEN, Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

STREAMS = 20
"""Enough to have some on each of two workers: all but one time in 500,000."""


@asynccontextmanager
async def open_streams(
    service: Service, environment: str
) -> AsyncIterator[list[Stream]]:
    """Streams of which each of two workers has some."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(STREAMS):
            stream = Stream(service.stream_url(environment))
            streams.append(await stack.enter_async_context(stream))
        await asyncio.gather(*(stream.next_block() for stream in streams))
        yield streams


def test_start__two_workers__each_with_its_own_socket_on_the_port(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given / When
    with running_service(
        "workers", shared_nats.url, tmp_path, open_files="-Sn 1024"
    ) as service:
        pids = service.workers()

        # Then
        [supervisor] = service.events("supervisor.started")
        assert supervisor["workers"] == 2
        assert supervisor["pid"] == service.process.pid
        assert {e["worker"] for e in service.events("worker.started")} == {0, 1}
        servers = service.events("server.started")
        assert {e["pid"] for e in servers} == set(pids)
        assert {(e["host"], e["port"]) for e in servers} == {
            ("127.0.0.1", service.port)
        }
        listening = [sockets(pid, service.port).listening for pid in pids]
        assert [len(inodes) for inodes in listening] == [1, 1]
        assert listening[0] != listening[1]
        for pid in pids:
            soft, hard = file_limits(pid)
            assert soft == hard
            assert int(hard) > 1024

        # When: others would share the port without anybody noticing
        line = one_line(
            manage(
                *("serve", "--workers=2"),
                environment={
                    "SSE_AUTHENTICATION_TOKEN": TOKEN,
                    "LISTEN_ADDR": f"127.0.0.1:{service.port}",
                },
            )
        )

        # Then
        assert f"port {service.port} is in use" in line
        assert "LISTEN_ADDR" in line


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [("0", ["--workers=auto"]), ("auto", [])],
    ids=["option", "variable"],
)
def test_start__auto__one_for_each_processor(
    shared_nats: EmbeddedNats,
    tmp_path: Path,
    variable: str,
    arguments: list[str],
) -> None:
    # When
    with running_service(
        *("serve", shared_nats.url, tmp_path), arguments=arguments, SSE_WORKERS=variable
    ) as service:
        # Then
        wanted = processors()
        assert len(service.events("server.started")) == wanted
        assert len(service.workers()) == wanted


async def test_start__port_left_by_a_single_process_a_moment_ago__taken(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: connections that this side has closed, which the kernel remembers
    with running_service("serve", shared_nats.url, tmp_path) as before:
        async with crowd(before, environment, STREAMS) as members:
            stopping = asyncio.create_task(asyncio.to_thread(before.stop))
            assert all(await asyncio.gather(*(m.ended_properly() for m in members)))
        assert await stopping == 0

    # When / Then
    with running_service(
        *("workers", shared_nats.url, tmp_path), LISTEN_ADDR=f"127.0.0.1:{before.port}"
    ) as service:
        assert service.port == before.port


@pytest.mark.parametrize("option", ["--workers", "--max-subscribers"])
@pytest.mark.parametrize("value", ["-1", "x"])
def test_start__senseless_number__usage_error_names_the_option(
    option: str, value: str
) -> None:
    # When
    done = manage("serve", option, value)

    # Then
    assert done.returncode == 2
    assert f"argument {option}: " in done.stderr.splitlines()[-1]


def test_start__too_many_workers__usage_error_says_what_it_takes() -> None:
    # When
    done = manage("serve", "--workers=1025")

    # Then
    assert done.returncode == 2
    assert done.stderr.endswith(
        "argument --workers: takes a whole number up to 1024, or auto\n"
    )


async def test_connections__4000_to_four_workers__spread_evenly(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve", shared_nats.url, tmp_path, arguments=["--workers=4"]
    ) as service:
        await asyncio.to_thread(service.await_logged, "nats.connected", 4)

        # When
        async with crowd(service, environment, 4000) as members:
            held = [
                len(sockets(pid, service.port).connected) for pid in service.workers()
            ]

            # Then
            assert all(member.status == 200 for member in members)
            assert sum(held) == 4000
            assert len(held) == 4
            assert max(held) <= 1.25 * 1000


async def test_worker__killed__its_clients_come_back_and_the_others_notice_nothing(
    workers: Service, environment: str
) -> None:
    # Given
    workers.expected_errors = {"worker.died"}
    async with open_streams(workers, environment) as streams:
        victim, survivor = workers.workers()
        lost, kept = (
            len(sockets(pid, workers.port).connected) for pid in (victim, survivor)
        )
        assert lost + kept == STREAMS

        # When
        os.kill(victim, signal.SIGKILL)
        await asyncio.to_thread(workers.await_logged, "worker.died")
        answer = await asyncio.to_thread(workers.publish, environment, 1)
        seen = await asyncio.gather(
            *(stream.next_event() for stream in streams), return_exceptions=True
        )

        # Then
        assert answer.status_code == 202
        assert seen.count(event("1")) == kept
        assert sum(stream.closed for stream in streams) == lost
    async with open_streams(workers, environment) as streams:
        assert {await stream.next_event() for stream in streams} == {event("1")}
    [died] = workers.events("worker.died")
    assert (died["worker"], died["pid"]) == (0, victim)
    assert died["reason"] == "killed by SIGKILL"
    assert 0.25 <= died["restart_in"] <= 0.75

    # When
    await asyncio.to_thread(workers.await_logged, "nats.connected", 3)

    # Then
    replacement, still_there = workers.workers()
    assert still_there == survivor
    assert replacement not in (victim, survivor)
    await asyncio.to_thread(
        eventually,
        lambda: len(sockets(replacement, workers.port).listening) == 1,
        what="the replacement to listen",
    )


async def test_worker__dies_again_and_again__restarted_after_longer_and_longer(
    workers: Service,
) -> None:
    # Given
    workers.expected_errors = {"worker.died"}

    def kill_and_wait(times: int) -> None:
        os.kill(workers.workers()[1], signal.SIGKILL)
        workers.await_logged("worker.died", times)

    # When
    for times in (1, 2, 3):
        await asyncio.to_thread(kill_and_wait, times)
        began = time.monotonic()
        if times < 3:
            await asyncio.to_thread(workers.await_logged, "nats.connected", 2 + times)
            waited = workers.events("worker.died")[-1]["restart_in"]
            assert time.monotonic() - began >= waited - 0.1

    # Then: 0.5, 1 and 2 s, give or take half
    delays = [event["restart_in"] for event in workers.events("worker.died")]
    assert 0.25 <= delays[0] <= 0.75
    assert 0.5 <= delays[1] <= 1.5
    assert 1 <= delays[2] <= 3
    # and a stop does not wait for the restart
    assert await asyncio.to_thread(workers.stop) == 0
    assert len(workers.events("worker.started")) == 4


async def test_sigterm__two_workers__drain_in_parallel_and_nothing_is_left(
    workers: Service, environment: str
) -> None:
    # Given: they take a second to end
    async with crowd(workers, environment, 200) as members:
        # When
        stopping = asyncio.create_task(asyncio.to_thread(workers.stop))
        ended = await asyncio.gather(*(m.ended_properly() for m in members))

        # Then
        assert all(ended)
        assert await stopping == 0
        assert not workers.running_workers()
    drains = [e["event"] for e in workers.events() if e["event"].startswith("drain")]
    assert drains == ["drain.started"] * 2 + ["drain.finished"] * 2
    assert len(workers.events("server.stopped")) == 2
    assert workers.events()[-1]["event"] == "supervisor.stopped"


async def test_sigint__a_second_one__ends_everything_at_once(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: they take 4 s to end
    with running_service(
        "workers", shared_nats.url, tmp_path, SSE_DRAIN_SECONDS="10"
    ) as service:
        await asyncio.to_thread(service.await_logged, "nats.connected", 2)
        async with crowd(service, environment, 800) as members:
            service.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(service.await_logged, "drain.started", 2)

            # When
            began = time.monotonic()
            stopping = asyncio.create_task(
                asyncio.to_thread(service.stop, signal.SIGINT)
            )
            ended = await asyncio.gather(*(m.ended_properly() for m in members))

            # Then
            assert await stopping == 0
            assert time.monotonic() - began < 2.5
            assert not service.running_workers()
            assert all(ended)


async def test_supervisor__killed__workers_stop_by_themselves(
    workers: Service, environment: str
) -> None:
    # Given
    async with crowd(workers, environment, STREAMS) as members:
        # When
        await asyncio.to_thread(workers.kill)
        ended = await asyncio.gather(*(m.ended_properly() for m in members))

        # Then
        assert all(ended)
        await asyncio.to_thread(
            eventually, lambda: not workers.running_workers(), seconds=5, what="the end"
        )
        assert len(workers.events("server.stopped")) == 2
        assert "Traceback" not in workers.log.read_text()


async def test_worker__hangs__killed_replaced_and_not_called_ready_meanwhile(
    workers: Service, environment: str
) -> None:
    # Given
    workers.await_ready()
    workers.expected_errors = {"worker.hung", "worker.died"}
    hanging, other = workers.workers()

    # When
    os.kill(hanging, signal.SIGSTOP)

    # Then: whichever worker is asked, only the other one can answer
    def scrape() -> dict[str, float]:
        try:
            return workers.metrics()
        except (requests.Timeout, requests.ConnectionError):
            # The one that hangs has taken the question, and is killed with it.
            return {}

    def tells_of_one() -> bool:
        return scrape().get("flagsmith_sse_ready") == 1

    await asyncio.to_thread(eventually, tells_of_one, seconds=60, what="one ready")
    await asyncio.to_thread(workers.await_logged, "worker.died")
    await asyncio.to_thread(workers.await_logged, "server.started", 3)
    await asyncio.to_thread(workers.await_ready)
    [hung], [died] = workers.events("worker.hung"), workers.events("worker.died")
    assert (hung["worker"], hung["pid"]) == (0, hanging)
    assert (died["worker"], died["pid"]) == (0, hanging)
    assert died["reason"] == "killed by SIGKILL"
    assert workers.workers()[1] == other
    async with open_streams(workers, environment) as streams:
        workers.publish(environment, 1)
        assert {await stream.next_event() for stream in streams} == {event("1")}


async def test_everything__stands_still_for_a_while__nobody_is_taken_to_hang(
    workers: Service,
) -> None:
    # Given
    workers.await_ready()
    before = workers.workers()
    everyone = [workers.process.pid, *before]

    # When
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(HUNG_BEATS * BEAT_SECONDS + 2)
    # The supervisor is the first to know what time it is.
    for pid in everyone:
        os.kill(pid, signal.SIGCONT)

    # Then
    await asyncio.to_thread(workers.await_ready)
    assert workers.metric("flagsmith_sse_ready") == 2
    assert workers.running_workers() == before
    assert not workers.events("worker.hung")
