"""`publish_environment_update`, from the threads, event loops and forks of one process,
to a real nats-server."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from realtime import process_publisher
from realtime.conf import RealtimeSettings
from realtime.exceptions import InvalidUpdate, NatsUnavailable, PublishFailed
from realtime.process_publisher import ProcessPublisher
from realtime.publisher import apublish_environment_update, publish_environment_update
from realtime.server.embedded_nats import EmbeddedNats
from realtime.updates import Update
from tests.support.environments import INVALID_KEYS
from tests.support.fresh import fresh_variables
from tests.support.nats import NatsServer
from tests.support.proxy import running_proxy
from tests.support.service import ROOT, Service, running_service
from tests.support.streams import Stream, event

LATE_SECONDS = 2.0
"""How late an error may be on a busy machine."""

AT_18_06 = datetime(2023, 1, 12, 18, 6, 42, 28060, UTC)
TIMES = {
    # what it is: the time, the JSON number that subscribers get
    "aware datetime": (AT_18_06, "1673546802.02806"),
    "datetime elsewhere": (
        AT_18_06.astimezone(timezone(timedelta(hours=5, minutes=30))),
        "1673546802.02806",
    ),
    "naive datetime is UTC": (AT_18_06.replace(tzinfo=None), "1673546802.02806"),
    "whole second": (AT_18_06.replace(microsecond=0), "1673546802.0"),
    "text": (AT_18_06.isoformat(), "1673546802.02806"),
    "integer": (123, "123"),
    "float": (1735229888.76, "1735229888.76"),
}

Publish = Callable[..., None]


def publish_from_a_coroutine(*arguments: Any, **options: Any) -> None:
    """The asynchronous variant, on an event loop of its own."""
    asyncio.run(apublish_environment_update(*arguments, **options))


@pytest.fixture(params=["sync", "async"])
def publish(request: pytest.FixtureRequest) -> Publish:
    if request.param == "sync":
        return publish_environment_update
    return publish_from_a_coroutine


@pytest.fixture
def publish_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have this process publish to the NATS at a URL, until the end of the test."""
    made: list[ProcessPublisher] = []

    def use(url: str) -> None:
        made.append(ProcessPublisher(RealtimeSettings(nats_servers=(url,))))
        monkeypatch.setattr(process_publisher, "_publisher", made[-1])

    yield use
    for publisher in made:
        publisher.close()


@pytest.fixture(scope="module")
def subscribed(
    shared_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service whose subscribers are to be told."""
    folder = tmp_path_factory.mktemp("subscribed")
    with running_service("serve", shared_nats.url, folder) as service:
        service.await_ready()
        yield service


@pytest.fixture
def with_stream(nats: NatsServer, tmp_path: Path) -> NatsServer:
    """A nats-server of the test's own, on which a service has made the stream."""
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
    return nats


@pytest.mark.parametrize("kind", TIMES)
async def test_publish__any_kind_of_time__as_over_http(
    publish: Publish,
    publish_to: Callable[[str], None],
    shared_nats: EmbeddedNats,
    subscribed: Service,
    environment: str,
    kind: str,
) -> None:
    # Given
    publish_to(shared_nats.url)
    updated_at, expected = TIMES[kind]
    async with Stream(subscribed.stream_url(environment)) as stream:
        # When
        await asyncio.to_thread(publish, environment, updated_at)

        # Then
        assert await stream.next_event() == event(expected)


@pytest.mark.parametrize("key", INVALID_KEYS.values(), ids=INVALID_KEYS.keys())
def test_publish__bad_key__invalid_update(publish: Publish, key: str) -> None:
    # When / Then
    with pytest.raises(InvalidUpdate, match="environment_key"):
        publish(key, 1)


@pytest.mark.parametrize(
    "updated_at",
    [None, True, -1, float("nan"), float("inf"), 10**400, "soon", b"1", [1]],
    ids=lambda value: repr(value)[:10],
)
def test_publish__bad_time__invalid_update(
    publish: Publish, environment: str, updated_at: object
) -> None:
    # When / Then
    with pytest.raises(InvalidUpdate, match="updated_at"):
        publish(environment, updated_at)


def test_publish__nats_away__unavailable_in_time_then_reconnects(
    publish: Publish,
    publish_to: Callable[[str], None],
    with_stream: NatsServer,
    environment: str,
) -> None:
    # Given
    publish_to(with_stream.url)
    publish(environment, 1)
    with_stream.kill()

    # When
    began = time.monotonic()
    with pytest.raises(NatsUnavailable):
        publish(environment, 2, timeout=0.5)

    # Then
    assert time.monotonic() - began < 0.5 + LATE_SECONDS
    with_stream.start()
    publish(environment, 3, timeout=10)
    assert with_stream.stream()["state"]["last_seq"] == 2


def test_publish__nats_hangs__failed_in_time(
    publish: Publish,
    publish_to: Callable[[str], None],
    with_stream: NatsServer,
    environment: str,
) -> None:
    # Given
    publish_to(with_stream.url)
    publish(environment, 1)
    with_stream.signal(signal.SIGSTOP)
    try:
        # When
        began = time.monotonic()
        with pytest.raises(PublishFailed, match="in time"):
            publish(environment, 2, timeout=0.5)

        # Then
        assert time.monotonic() - began < 0.5 + LATE_SECONDS
    finally:
        with_stream.signal(signal.SIGCONT)


def test_publish__not_confirmed__next_one_on_a_new_connection(
    publish: Publish,
    publish_to: Callable[[str], None],
    with_stream: NatsServer,
    environment: str,
) -> None:
    # Given
    with running_proxy(with_stream.url) as proxy:
        publish_to(proxy.url)
        publish(environment, 1)
        [before] = with_stream.connections()
        proxy.freeze()
        with pytest.raises(PublishFailed, match="in time"):
            publish(environment, 2, timeout=0.5)

        # When: sooner than pings would tell
        proxy.thaw()
        publish(environment, 3, timeout=2)

        # Then
        after = {connection["cid"] for connection in with_stream.connections()}
        assert after != {before["cid"]}


def test_publish__no_stream_yet__failed_with_the_reason(
    publish: Publish,
    publish_to: Callable[[str], None],
    nats: NatsServer,
    environment: str,
) -> None:
    # Given
    publish_to(nats.url)

    # When / Then
    with pytest.raises(PublishFailed, match="no stream"):
        publish(environment, 1)


def test_publish__while_nats_restarts__every_update_is_stored_in_the_end(
    publish_to: Callable[[str], None], with_stream: NatsServer, environment: str
) -> None:
    # Given
    publish_to(with_stream.url)
    environments = [f"{environment}-{number}" for number in range(4)]
    restarted = threading.Event()

    def publish_until_restarted(key: str) -> int:
        number = 0
        while not restarted.is_set():
            number += 1
            publish_environment_update(key, number, timeout=20)
        return number

    # When
    with ThreadPoolExecutor() as pool:
        publishing = [pool.submit(publish_until_restarted, e) for e in environments]
        try:
            for _ in range(2):
                with_stream.kill()
                with_stream.start()
        finally:
            restarted.set()
        numbers = [future.result() for future in publishing]

    # Then: no call raised, and each environment's latest is there
    assert min(numbers) > 0
    state = with_stream.stream()["state"]
    assert state["messages"] == len(environments)
    assert state["last_seq"] >= sum(numbers)


def test_publish__many_threads_and_event_loops__one_connection(
    publish_to: Callable[[str], None], with_stream: NatsServer, environment: str
) -> None:
    # Given
    publish_to(with_stream.url)
    ways = [publish_environment_update, publish_from_a_coroutine] * 8

    # When
    with ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(lambda way: way(environment, 1, timeout=20), ways))

    # Then
    assert with_stream.stream()["state"]["last_seq"] == len(ways)
    [connection] = with_stream.connections()
    assert connection["in_msgs"] >= len(ways)


FORKING = """
import os, sys, warnings
import django
django.setup()
from realtime.publisher import publish_environment_update

key = sys.argv[1]
publish_environment_update(key, 1, timeout=10)
if os.fork() == 0:
    publish_environment_update(key, 2, timeout=10)
    sys.exit(0)
_, status = os.wait()
publish_environment_update(key, 3, timeout=10)
sys.exit(os.waitstatus_to_exitcode(status))
"""


AT_THE_END = """
import atexit, sys, threading, time

def tell(who, error):
    # In one piece: two threads write.
    sys.stdout.write(f"{who}: {type(error).__module__} {type(error).__name__}\\n")
    sys.stdout.flush()

def late():
    try:
        publish_environment_update(sys.argv[1], 2)
        print("late: published")
    except Exception as error:
        tell("late", error)

atexit.register(late)  # runs last, after what the library has registered
import django
django.setup()
from realtime.publisher import publish_environment_update

def for_ever():
    try:
        while True:
            publish_environment_update(sys.argv[1], 1, timeout=float("inf"))
            published.set()
    except BaseException as error:
        tell("thread", error)

published = threading.Event()
threading.Thread(target=for_ever, daemon=True).start()
published.wait()
"""


def test_publish__interpreter_ends__nothing_but_what_is_documented(
    with_stream: NatsServer, environment: str
) -> None:
    # When
    done = run_fresh(AT_THE_END, with_stream, environment)

    # Then
    assert (done.returncode, done.stderr) == (0, "")
    lines = set(done.stdout.splitlines())
    assert "late: realtime.exceptions NatsUnavailable" in lines
    # The thread may not live to say so.
    assert lines - {"late: realtime.exceptions NatsUnavailable"} <= {
        "thread: realtime.exceptions NatsUnavailable",
        "thread: realtime.exceptions PublishFailed",
    }


@pytest.mark.parametrize("seconds", [float("inf"), 1e30])
def test_publish__endless_time_out__published(
    publish: Publish,
    publish_to: Callable[[str], None],
    with_stream: NatsServer,
    environment: str,
    seconds: float,
) -> None:
    # Given
    publish_to(with_stream.url)

    # When
    publish(environment, 1, timeout=seconds)

    # Then
    assert with_stream.stream()["state"]["last_seq"] == 1


@pytest.mark.parametrize("seconds", [0, -1, -5, float("-inf"), float("nan")])
def test_publish__no_time__unavailable(
    publish: Publish,
    publish_to: Callable[[str], None],
    with_stream: NatsServer,
    environment: str,
    seconds: float,
) -> None:
    # Given
    publish_to(with_stream.url)

    # When / Then
    with pytest.raises(NatsUnavailable, match="not reached in time"):
        publish(environment, 1, timeout=seconds)


def test_publish__closed_while_it_waits__failed(environment: str) -> None:
    # Given: nobody who would answer
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"nats://127.0.0.1:{server.getsockname()[1]}"
        publisher = ProcessPublisher(RealtimeSettings(nats_servers=(url,)))
        waiting = publisher.publish(Update(environment, "1"), 60)
        hung, _ = server.accept()

        # When
        publisher.close()
        hung.close()

        # Then
        with pytest.raises(PublishFailed, match="process ends"):
            waiting.result(LATE_SECONDS)
        with pytest.raises(NatsUnavailable, match="process ends"):
            publisher.publish(Update(environment, "2"), 60)


def run_fresh(
    script: str, nats: NatsServer, environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run `script` in a new process of the other project."""
    return subprocess.run(
        [sys.executable, "-c", script, environment],
        cwd=ROOT,
        env=fresh_variables(
            DJANGO_SETTINGS_MODULE="tests.host_project.settings",
            PYTHONPATH=os.fspath(ROOT),
            NATS_URL=nats.url,
        ),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def test_publish__forked__parent_and_child_each_with_a_connection(
    with_stream: NatsServer, environment: str
) -> None:
    # When
    done = run_fresh(FORKING, with_stream, environment)

    # Then: orderly, to the end
    assert (done.returncode, done.stderr) == (0, "")
    assert with_stream.stream()["state"]["last_seq"] == 3
    assert with_stream.connections() == []
