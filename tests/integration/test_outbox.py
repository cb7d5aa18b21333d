"""What was published while NATS was away arrives once it is back, whatever the
publisher was answered."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from itertools import cycle
from pathlib import Path

import pytest

from realtime.intake.outbox_folder import TAKE_OVER_SECONDS
from tests.faults.cluster import running_cluster
from tests.support.nats import NatsServer
from tests.support.nats_filter import MessageFilter
from tests.support.proxy import running_proxy
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.task_processor import TaskProcessor
from tests.support.waiting import eventually, eventually_async

OUTAGE_SECONDS = 6.0
"""Longer than all the tries of a task that begins with it."""


async def next_of(service: Service, environment: str) -> str:
    """The first event of a stream that is opened now."""
    async with Stream(service.stream_url(environment)) as stream:
        return await stream.next_event()


def seconds_of(date: str) -> str:
    """The frame's number for a date in 2026-01-31T12:00."""
    return f"{1769860800 + int(date[17:19])}.0"


def at(second: int) -> str:
    return f"2026-01-31T12:00:{second:02d}+00:00"


@pytest.mark.parametrize("how", ["killed", "hung"])
async def test_publish__nats_away_for_all_tries__told_once_it_is_back(
    server: str, nats: NatsServer, tmp_path: Path, environment: str, how: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        processor = TaskProcessor(cycle([service.url]))
        async with Stream(service.stream_url(environment)) as stream:
            assert await processor.run_task({environment: at(1)})
            assert await stream.next_event() == event(seconds_of(at(1)))

            # When
            if how == "killed":
                nats.kill()
            else:
                nats.signal(signal.SIGSTOP)
            accepted = await processor.run_task({environment: at(2)})
            if how == "killed":
                nats.start()
            else:
                nats.signal(signal.SIGCONT)

            # Then
            assert accepted
            assert processor.slowest < 2
            assert await stream.next_event() == event(seconds_of(at(2)))
        assert await next_of(service, environment) == event(seconds_of(at(2)))


@pytest.mark.parametrize("begins_after", [0.0, 1.5, 4.0])
async def test_project__nats_away_for_everybody__every_environment_told(
    nats: NatsServer, tmp_path: Path, environment: str, begins_after: float
) -> None:
    # Given: three instances behind a balancer
    environments = [f"{environment}-{number}" for number in range(50)]
    with ExitStack() as services:
        three = [
            services.enter_context(running_service(name, nats.url, tmp_path))
            for name in ("serve", "serve", "daphne")
        ]
        for service in three:
            service.await_ready()
        processor = TaskProcessor(cycle(service.url for service in three))
        async with AsyncExitStack() as streams:
            opened = [
                await streams.enter_async_context(Stream(three[0].stream_url(key)))
                for key in environments
            ]

            # When: the task begins at some moment of the outage
            nats.kill()
            await asyncio.sleep(begins_after)
            accepted = await processor.run_task(dict.fromkeys(environments, at(1)))
            nats.start()

            # Then
            assert accepted, processor.answers
            assert processor.slowest < 2
            for stream in opened:
                assert await stream.next_event() == event(seconds_of(at(1)))


async def test_project__nats_hangs_and_nobody_knows_yet__every_environment_told(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: three instances that nothing was published to for a while
    with ExitStack() as services:
        three = [
            services.enter_context(running_service("serve", nats.url, tmp_path))
            for _ in range(3)
        ]
        for service in three:
            service.await_ready()

        # When: each try reaches one that learns by it that NATS is away
        nats.signal(signal.SIGSTOP)
        changed = await change_project(three, environment)
        nats.signal(signal.SIGCONT)

        # Then
        await all_told(three, changed)


async def test_project__cluster_without_a_leader__every_environment_told(
    tmp_path: Path, environment: str
) -> None:
    # Given: nobody is connected to the node that leads the stream
    with running_cluster(tmp_path) as cluster, ExitStack() as services:
        every = ",".join(node.url for node in cluster.nodes)
        replicas = {"NATS_STREAM_REPLICAS": str(len(cluster.nodes))}
        with running_service("serve", every, tmp_path, **replicas) as first:
            first.await_ready(seconds=60)
            name = cluster.nodes[0].stream()["cluster"]["leader"]
            leader = cluster.nodes[int(name.removeprefix("node-"))]
        others = ",".join(node.url for node in cluster.nodes if node is not leader)
        three = [
            services.enter_context(
                running_service("serve", others, tmp_path, **replicas)
            )
            for _ in range(3)
        ]
        for service in three:
            service.await_ready()

        # When
        leader.kill()
        changed = await change_project(three, environment)

        # Then
        await all_told(three, changed)


async def change_project(services: Sequence[Service], environment: str) -> list[str]:
    """Changes a project, which must be accepted; its environments."""
    environments = [f"{environment}-{number}" for number in range(10)]
    processor = TaskProcessor(cycle(service.url for service in services))
    accepted = await processor.run_task(dict.fromkeys(environments, at(1)))
    assert accepted, processor.answers
    return environments


async def all_told(services: Sequence[Service], environments: Sequence[str]) -> None:
    """Waits until each of the environments is told what `change_project` published."""
    for service in services:
        service.await_ready(seconds=60)
        # One of them may never have had to keep anything.
        await asyncio.to_thread(
            eventually,
            lambda service=service: service.metric("flagsmith_sse_outbox_updates") == 0,
            seconds=30,
            what="an empty outbox",
        )
    for key in environments:
        assert await next_of(services[0], key) == event(seconds_of(at(1)))


@pytest.mark.parametrize("cut_for", [0.0, 5.0])
async def test_publish__one_instance_cut_off_from_nats__told_by_the_others(
    server: str, nats: NatsServer, tmp_path: Path, environment: str, cut_for: float
) -> None:
    # Given
    with running_proxy(nats.url) as proxy, ExitStack() as services:
        cut_off = services.enter_context(running_service(server, proxy.url, tmp_path))
        others = [
            services.enter_context(running_service("serve", nats.url, tmp_path))
            for _ in range(2)
        ]
        for service in (cut_off, *others):
            service.await_ready()
        async with Stream(others[0].stream_url(environment)) as stream:
            # When: the first try reaches the one that is cut off
            proxy.cut()
            cut_off.await_ready(False)
            await asyncio.sleep(cut_for)
            processor = TaskProcessor(cycle(s.url for s in (cut_off, *others)))
            accepted = await processor.run_task({environment: at(1)})

            # Then: it is told while the cut lasts, and once
            assert accepted
            assert await stream.next_event() == event(seconds_of(at(1)))
            proxy.restore()
            cut_off.await_ready()
            assert (
                await asyncio.to_thread(others[0].publish, environment, at(2))
            ).status_code == 202
            assert await stream.next_event() == event(seconds_of(at(2)))


async def test_publish__confirmations_come_again__stored_here_and_not_by_the_others(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: a session that lasts, in which no confirmation of an update arrives
    dropping = True
    confirmation = re.compile(rb"_INBOX\.\w+\.\d{1,6}")

    def drop() -> MessageFilter:
        return MessageFilter(
            lambda subject: dropping and bool(confirmation.fullmatch(subject))
        )

    relayed = 'flagsmith_sse_outbox_settled_total{outcome="relayed"}'
    with (
        running_proxy(nats.url, drop) as proxy,
        running_service("serve", nats.url, tmp_path) as other,
        running_service("serve", proxy.url, tmp_path) as service,
    ):
        other.await_ready()
        service.await_ready()
        await eventually_async(
            lambda: (
                service.publish(environment, at(1)).status_code == 202
                and service.metric(relayed) >= 1
            ),
            seconds=20,
            what="the other instance to store it",
        )

        # When
        dropping = False

        # Then
        def stored_here() -> bool:
            before = service.metric(relayed)
            answer = service.publish(environment, at(2))
            return answer.status_code == 202 and service.metric(relayed) == before

        await eventually_async(stored_here, seconds=20, what="it to store by itself")
        async with Stream(other.stream_url(environment)) as stream:
            assert await stream.next_event() == event(seconds_of(at(2)))


async def test_publish__tries_reach_several_instances__stored_once(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: the same update waits in two processes, an older one in a third
    with ExitStack() as services:
        three = [
            services.enter_context(
                running_service(
                    "serve", nats.url, tmp_path, SSE_ACCEPT_WITHOUT_NATS="false"
                )
            )
            for _ in range(3)
        ]
        for service in three:
            service.await_ready()
        async with Stream(three[0].stream_url(environment)) as stream:
            nats.kill()
            for service, second in zip(three, (2, 2, 1), strict=True):
                service.await_ready(False)
                answer = await asyncio.to_thread(
                    service.publish, environment, at(second)
                )
                assert answer.status_code == 503

            # When
            nats.start()
            for service in three:
                service.await_ready()
                service.await_logged("outbox.emptied")

            # Then: whichever came first, the last thing told is the newer one
            told = [await stream.next_event()]
            while told[-1] != event(seconds_of(at(2))):
                told.append(await stream.next_event())
            assert told.count(event(seconds_of(at(2)))) == 1
            assert await next_of(three[2], environment) == event(seconds_of(at(2)))
            # Whichever came first: of the two that are the same NATS may store one, and
            # one that has no connection yet may pass its own on to another.
            assert (
                sum(
                    s.metric(
                        f'flagsmith_sse_outbox_settled_total{{outcome="{outcome}"}}'
                    )
                    for s in three
                    for outcome in ("stored", "superseded", "relayed")
                )
                == 3
            )


async def test_publish__nats_away_for_seconds__kept_with_a_header_at_once(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        nats.kill()
        service.await_ready(False)
        eventually(
            lambda: service.publish(environment, 1).status_code == 202,
            what="what is kept to be accepted",
        )

        # When
        answer = service.publish(environment, 2)

        # Then
        assert answer.status_code == 202
        assert answer.headers["Flagsmith-SSE-Kept"] == "true"
        eventually(
            lambda: (
                service.metric("flagsmith_sse_outbox_updates") >= 1
                and service.metric("flagsmith_sse_outbox_oldest_seconds") > 0
            ),
            what="the gauges",
        )

        # When
        nats.start()

        # Then
        service.await_ready()
        assert await next_of(service, environment) == event("2")
        assert service.events("outbox.filling")
        assert "Flagsmith-SSE-Kept" not in service.publish(environment, 3).headers


async def test_publish__instance_listens_and_is_not_ready_yet__waits(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: it listens
    with running_service(server, nats.url, tmp_path) as service:
        # When
        answer = service.publish(environment, 1)

        # Then
        assert answer.status_code == 202
        service.await_ready()
        assert await next_of(service, environment) == event("1")


async def test_publish__newer_one_stored_by_another_instance__not_undone(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: an update waits in an instance that is cut off
    with (
        running_proxy(nats.url) as proxy,
        running_service("serve", proxy.url, tmp_path) as cut_off,
        running_service("serve", nats.url, tmp_path) as other,
    ):
        cut_off.await_ready()
        other.await_ready()
        # However long that took, the outage is young: it was well just now.
        assert cut_off.publish(f"{environment}-before", at(1)).status_code == 202
        proxy.freeze()
        assert cut_off.publish(environment, at(1)).status_code == 503

        # When
        assert other.publish(environment, at(2)).status_code == 202
        proxy.thaw()
        cut_off.await_logged("outbox.emptied")

        # Then
        assert await next_of(other, environment) == event(seconds_of(at(2)))
        assert await next_of(cut_off, environment) == event(seconds_of(at(2)))


async def test_publish__older_date_after_a_newer_one__told_with_the_newer(
    service: Service, environment: str
) -> None:
    # Given
    assert service.publish(environment, at(2)).status_code == 202
    async with Stream(service.stream_url(environment)) as stream:
        assert await stream.next_event() == event(seconds_of(at(2)))

        # When: a retry that comes late
        assert service.publish(environment, at(1)).status_code == 202

        # Then: the event says "fetch", and the time does not run backwards
        assert await stream.next_event() == event(seconds_of(at(2)))
    assert await next_of(service, environment) == event(seconds_of(at(2)))

    # When: numbers are told as they come
    assert service.publish(environment, 1).status_code == 202

    # Then
    await eventually_async(
        lambda: service.publish(environment, 1).status_code == 202, what="an answer"
    )
    assert await next_of(service, environment) == event("1")


async def test_stop__nats_is_back__stored_before_the_process_leaves(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        nats.signal(signal.SIGSTOP)
        assert service.publish(environment, 1).status_code == 503

        # When
        nats.signal(signal.SIGCONT)
        assert service.stop() == 0
        assert not service.events("update.lost")

    # Then
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        assert await next_of(service, environment) == event("1")


async def test_stop__nats_comes_back_while_the_process_stops__stored_before_it_leaves(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: nobody to hand it over to, and nothing to drain
    with running_service(server, nats.url, tmp_path, SSE_DRAIN_SECONDS="15") as service:
        service.await_ready()
        nats.kill()
        service.await_ready(False)
        assert service.publish(environment, 1).status_code in (202, 503)

        # When
        service.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(service.await_logged, "drain.finished")
        nats.start()
        assert service.stop() == 0

        # Then
        assert not service.events("update.lost")
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()
        assert await next_of(service, environment) == event("1")


async def test_stop__nats_away__what_is_left_behind_is_named(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, nats.url, tmp_path) as service:
        service.expected_errors.add("update.lost")
        service.await_ready()
        nats.kill()
        service.await_ready(False)
        for number in range(2):
            answer = service.publish(f"{environment}-{number}", number)
            assert answer.status_code in (202, 503)

        # When
        assert service.stop() == 0

        # Then: one line each, at error level
        lost = [e for e in service.events("update.lost") if e["level"] == "error"]
        assert {(e["environment__key"], e["updated_at"]) for e in lost} >= {
            (f"{environment}-0", "0"),
            (f"{environment}-1", "1"),
        }


async def test_replacement__nats_away__the_workers_stay_until_what_waits_is_stored(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: an update waits in one of two workers
    with running_service("workers", nats.url, tmp_path) as service:
        service.await_logged("nats.connected", 2)
        nats.kill()
        service.await_ready(False)
        assert service.publish(environment, 1).status_code in (202, 503)
        before = service.workers()

        # When
        service.process.send_signal(signal.SIGHUP)
        service.await_logged("worker.started", 3)
        assert not service.events("drain.started")
        nats.start()
        service.await_logged("workers.replaced")

        # Then
        assert not set(before) & set(service.workers())
        assert await next_of(service, environment) == event("1")
        assert not service.events("update.lost")


async def test_kill__with_a_folder__the_next_process_takes_over(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    folder = tmp_path / "outbox"
    with running_service(
        server, nats.url, tmp_path, SSE_OUTBOX_FOLDER=str(folder)
    ) as service:
        service.await_ready()
        nats.kill()
        service.await_ready(False)
        for number in range(5):
            answer = service.publish(f"{environment}-{number}", number)
            assert answer.status_code in (202, 503)

        # When: everything dies, and NATS comes back with the next process
        service.kill_all()
    left = set(folder.glob("*.sqlite3"))
    nats.start()
    with running_service(
        server, nats.url, tmp_path, SSE_OUTBOX_FOLDER=str(folder)
    ) as service:
        service.await_ready()
        service.await_logged("outbox.emptied")
        eventually(
            lambda: not left & set(folder.glob("*.sqlite3")),
            seconds=4 * TAKE_OVER_SECONDS,
            what="what was taken over to be gone",
        )

        # Then
        for number in range(5):
            key = f"{environment}-{number}"
            assert await next_of(service, key) == event(str(number))
    assert not list(folder.glob("*.sqlite3"))


async def test_kill__other_worker_lives__takes_over(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    folder = tmp_path / "outbox"
    with running_service(
        "workers", nats.url, tmp_path, SSE_OUTBOX_FOLDER=str(folder)
    ) as service:
        service.expected_errors.add("worker.died")
        service.await_logged("nats.connected", 2)
        nats.kill()
        service.await_ready(False)
        assert service.publish(environment, 1).status_code in (202, 503)

        # When
        [holder] = [path.name.split("-")[1] for path in folder.glob("outbox-*.sqlite3")]
        os.kill(int(holder), signal.SIGKILL)
        eventually(
            lambda: service.events("outbox.taken_over"),
            seconds=4 * TAKE_OVER_SECONDS,
            what="the other worker",
        )
        nats.start()
        service.await_ready()

        # Then
        assert await next_of(service, environment) == event("1")


async def test_publish__folder_cannot_be_written__kept_in_memory_and_said(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: a file where the folder should be
    folder = tmp_path / "outbox"
    folder.touch()
    with running_service(
        server, nats.url, tmp_path, SSE_OUTBOX_FOLDER=str(folder)
    ) as service:
        service.expected_errors.add("outbox.not_on_disk")
        service.await_ready()
        nats.signal(signal.SIGSTOP)

        # When
        began = time.monotonic()
        assert service.publish(environment, 1).status_code == 503
        assert time.monotonic() - began < 2

        # Then
        service.await_logged("outbox.not_on_disk")
        eventually(
            lambda: service.metric("flagsmith_sse_outbox_memory_only") >= 1,
            what="the gauge",
        )
        nats.signal(signal.SIGCONT)
        service.await_logged("outbox.emptied")
        assert await next_of(service, environment) == event("1")
