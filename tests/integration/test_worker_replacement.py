"""`serve --workers N` while clients come, go and come back: workers are replaced one by
one on SIGHUP, or killed, and nobody is refused or misses an update."""

import asyncio
import itertools
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import certifi

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.crowd import crowd
from tests.support.followers import Subscriber, acknowledged
from tests.support.proxy import running_proxy
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

STREAMS = 20
STORM = 400
"""Clients that connect again and again, all the time."""

SUBSCRIBERS = 100
ENVIRONMENTS = 5


async def connects(
    service: Service, outcomes: Counter[str], done: asyncio.Event
) -> None:
    """Ask for `/livez` on a new connection again and again, and count what comes."""
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    while not done.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(request)
            answer = await reader.read()
            outcome = answer.partition(b"\r\n")[0].decode() or "closed without answer"
            writer.close()
        except OSError as error:
            outcome = type(error).__name__
        outcomes[outcome] += 1


async def replace_while_connecting(service: Service, clients: int) -> Counter[str]:
    """What `clients`, who connect again and again, get while SIGHUP replaces the
    workers."""
    outcomes: Counter[str] = Counter()
    done = asyncio.Event()
    connecting = [
        asyncio.create_task(connects(service, outcomes, done)) for _ in range(clients)
    ]
    try:
        service.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(service.await_logged, "workers.replaced")
    finally:
        done.set()
        await asyncio.gather(*connecting)
    return outcomes


def test_sighup__metrics__tell_of_no_start_no_restart_and_no_error(
    workers: Service,
) -> None:
    # Given
    before = workers.metrics()

    # When
    workers.process.send_signal(signal.SIGHUP)
    workers.await_logged("workers.replaced")

    # Then
    after = workers.metrics()
    telling = [name for name in after if "error" in name or "restart" in name]
    # Whoever begins to read skips anew what others have published.
    telling.remove('flagsmith_sse_nats_errors_total{operation="read"}')
    telling += ["process_start_time_seconds", "flagsmith_sse_workers"]
    assert {name: after[name] for name in telling} == {
        name: before[name] for name in telling
    }


async def test_sighup__open_streams__replaced_one_by_one_and_nobody_is_refused(
    workers: Service, environment: str
) -> None:
    # Given
    before = workers.workers()
    async with crowd(workers, environment, STREAMS) as members:
        # When
        replacing = asyncio.create_task(replace_while_connecting(workers, 2))
        ended = await asyncio.gather(*(m.ended_properly() for m in members))
        outcomes = await replacing

        # Then
        assert all(ended)
    assert set(outcomes) == {"HTTP/1.1 200 OK"}
    assert not set(workers.workers()) & set(before)
    assert workers.running_workers() == workers.workers()
    steps = [
        event["event"]
        for event in workers.events()
        if event["event"].startswith(("worker", "server"))
    ]
    replacement = ["worker.started", "server.started", "server.stopped"]
    assert steps[steps.index("workers.replacing") :] == [
        *("workers.replacing", *replacement, *replacement, "workers.replaced")
    ]


async def test_sighup__hundreds_connect_all_the_time__none_is_reset(
    workers: Service,
) -> None:
    # When
    outcomes = await replace_while_connecting(workers, STORM)

    # Then
    assert set(outcomes) == {"HTTP/1.1 200 OK"}, outcomes


async def test_sighup__old_worker_dies_before_the_new_one_listens__one_takes_its_place(
    workers: Service,
) -> None:
    # Given
    workers.expected_errors = {"worker.died"}
    old = workers.workers()[0]
    workers.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(workers.await_logged, "worker.started", 3)

    # When
    os.kill(old, signal.SIGKILL)
    await asyncio.to_thread(workers.await_logged, "workers.replaced")
    code = await asyncio.to_thread(workers.stop)

    # Then
    assert code == 0
    assert not workers.running_workers()


async def test_sighup__new_worker_dies_while_the_old_one_drains__noticed_at_once(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: the streams of one worker take some 3 s to end
    with running_service(
        "workers", shared_nats.url, tmp_path, SSE_DRAIN_SECONDS="10"
    ) as service:
        await asyncio.to_thread(service.await_logged, "nats.connected", 2)
        service.expected_errors = {"worker.died"}
        async with crowd(service, environment, 600):
            service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(service.await_logged, "drain.started")

            # When
            os.kill(service.workers()[0], signal.SIGKILL)
            await asyncio.to_thread(service.await_logged, "worker.started", 4)

            # Then
            assert not service.events("drain.finished")
            await asyncio.to_thread(service.await_logged, "workers.replaced")
        assert len(service.running_workers()) == 2


async def test_sighup__sigterm_before_the_new_worker_listens__nothing_is_left(
    workers: Service,
) -> None:
    # Given
    workers.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(workers.await_logged, "worker.started", 3)

    # When
    code = await asyncio.to_thread(workers.stop)

    # Then
    assert code == 0
    assert not workers.running_workers()


async def test_sighup__one_worker__replaced_and_nobody_is_refused(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve", shared_nats.url, tmp_path, arguments=["--workers=1"]
    ) as service:
        service.await_ready()
        before = service.workers()
        async with crowd(service, environment, STREAMS) as members:
            # When
            replacing = asyncio.create_task(replace_while_connecting(service, 2))
            ended = await asyncio.gather(*(m.ended_properly() for m in members))

            # Then
            assert all(ended)
        assert set(await replacing) == {"HTTP/1.1 200 OK"}
        assert not set(service.workers()) & set(before)


async def test_sighup__no_workers__nothing_ends_and_the_log_says_what_it_takes(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service("serve", shared_nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            await stream.next_block()

            # When
            service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(service.await_logged, "server.not_replaced")

            # Then
            service.publish(environment, 1)
            assert await stream.next_event() == event("1")
        [told] = service.events("server.not_replaced")
        assert "--workers" in told["reason"]


async def test_sighup__to_a_worker__nothing_ends(workers: Service) -> None:
    # Given
    before = workers.workers()

    # When: as `pkill` does it, to all
    for pid in (*before, workers.process.pid):
        os.kill(pid, signal.SIGHUP)
    await asyncio.to_thread(workers.await_logged, "workers.replaced")

    # Then
    assert len(workers.events("worker.started")) == 4
    assert not workers.events("worker.died")


async def test_sighup__again_while_workers_are_replaced__all_started_after_it(
    workers: Service,
) -> None:
    # Given: one has been replaced, the other not yet
    workers.await_ready()
    workers.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(workers.await_logged, "worker.started", 4)
    started_before = {event["pid"] for event in workers.events("worker.started")}

    # When
    workers.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(workers.await_logged, "workers.replaced")

    # Then
    assert len(workers.workers()) == 2
    assert not set(workers.workers()) & started_before
    assert workers.running_workers() == workers.workers()


async def test_sighup__new_worker_cannot_reach_nats__old_one_stays_until_it_can(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: those that are connected stay so
    with (
        running_proxy(shared_nats.url) as proxy,
        running_service("workers", proxy.url, tmp_path) as service,
    ):
        await asyncio.to_thread(service.await_logged, "nats.connected", 2)
        before = service.workers()
        proxy.refuse()
        async with crowd(service, environment, STREAMS) as members:
            # When
            service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(service.await_logged, "bridge.interrupted", 3)

            # Then: for longer than a worker without a predecessor would have waited
            assert not service.events("drain.started")
            assert len(service.events("server.started")) == 2
            assert service.metric("flagsmith_sse_ready") == 2
            service.publish(environment, 1)

            # When
            proxy.restore()
            ended = await asyncio.gather(*(m.ended_properly() for m in members))

            # Then
            assert all(ended)
            assert all(b'{"updated_at":1}' in m.received for m in members)
        await asyncio.to_thread(service.await_logged, "workers.replaced")
        assert not set(service.workers()) & set(before)


async def test_sighup__old_worker_dies_while_the_new_one_cannot_reach_nats__taken_over(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with (
        running_proxy(shared_nats.url) as proxy,
        running_service("workers", proxy.url, tmp_path) as service,
    ):
        await asyncio.to_thread(service.await_logged, "nats.connected", 2)
        service.expected_errors = {"worker.died"}
        old = service.workers()[0]
        proxy.refuse()
        service.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(service.await_logged, "bridge.interrupted")
        new = service.workers()[0]

        # When
        os.kill(old, signal.SIGKILL)

        # Then: it listens, ready or not, and no third one is started
        await asyncio.to_thread(service.await_logged, "server.started", 3)
        assert service.events("server.started")[2]["pid"] == new
        [died] = service.events("worker.died")
        assert (died["pid"], died["restart_in"]) == (old, 0)
        proxy.restore()
        await asyncio.to_thread(service.await_logged, "workers.replaced")
        assert len(service.events("worker.started")) == 4


async def test_sighup__new_version_cannot_start__old_one_stays_until_it_is_mended(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    authority = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), authority)
    with running_service(
        *("workers", shared_nats.url, tmp_path), NATS_TLS_CA_FILE=str(authority)
    ) as service:
        service.expected_errors = {"worker.not_replaced"}
        before = service.workers()
        authority.unlink()

        # When
        service.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(service.await_logged, "worker.not_replaced")

        # Then
        assert service.running_workers() == before
        [failed] = service.events("worker.not_replaced")
        assert failed["reason"] == "exit code 1"
        assert not service.events("workers.replaced")

        # When
        shutil.copy(certifi.where(), authority)
        service.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(service.await_logged, "workers.replaced")

        # Then
        assert len(service.running_workers()) == 2
        assert not set(service.running_workers()) & set(before)


async def test_workers_killed__under_load__everyone_finds_the_last_acknowledged_update(
    workers: Service, environment: str
) -> None:
    # Given
    workers.expected_errors = {"worker.died"}
    environments = [f"{environment}-{number}" for number in range(ENVIRONMENTS)]
    everyone = [
        Subscriber(workers, key)
        for key, _ in zip(itertools.cycle(environments), range(SUBSCRIBERS))
    ]
    running = [asyncio.create_task(subscriber.run()) for subscriber in everyone]
    ledger: dict[str, int] = {}
    failed = 0
    numbers = itertools.count()

    async def publish(times: int) -> None:
        nonlocal failed
        for number in itertools.islice(numbers, times):
            key = environments[number % ENVIRONMENTS]
            if await acknowledged(workers, key, number):
                ledger[key] = number
            else:
                failed += 1
            await asyncio.sleep(0.02)

    try:
        # When
        await publish(50)
        for worker in (0, 1):
            os.kill(workers.workers()[worker], signal.SIGKILL)
            await publish(25)
            while len(workers.events("nats.connected")) < 3 + worker:
                await publish(1)
            await publish(10)

        # Then: stored without an acknowledgement may be newer
        def informed() -> bool:
            return all(s.last >= ledger[s.environment] for s in everyone)

        await asyncio.to_thread(eventually, informed, what="the last acknowledged")

        # When
        for number, key in zip(numbers, environments, strict=False):
            assert await acknowledged(workers, key, number)
            ledger[key] = number

        # Then
        await asyncio.to_thread(eventually, informed, what="the next one")
        assert {s.environment: s.last for s in everyone} == ledger
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert all(s.in_order for s in everyone)
    assert failed <= 10
    assert sum(s.connections for s in everyone) > SUBSCRIBERS
    assert len(workers.events("worker.died")) == 2
