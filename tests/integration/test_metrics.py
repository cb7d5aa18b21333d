"""Each metric is moved by the event it stands for, in one worker and in two."""

import asyncio
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats as nats_py
import pytest
import requests
from nats.js import api
from prometheus_client.parser import text_string_to_metric_families

from realtime.server.embedded_nats import EmbeddedNats, embedded_nats
from tests.support.nats import NatsServer
from tests.support.raw_http import PUBLISHER, ask, queue_change
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

DOCUMENTED = {
    "flagsmith_sse_subscribers": "gauge",
    "flagsmith_sse_subscribers_total": "counter",
    "flagsmith_sse_http_errors_total": "counter",
    "flagsmith_sse_http_writes_total": "counter",
    "flagsmith_sse_nats_errors_total": "counter",
    "flagsmith_sse_publish_requests_total": "counter",
    "flagsmith_sse_publish_duration_seconds": "histogram",
    "flagsmith_sse_delivery_duration_seconds": "histogram",
    "flagsmith_sse_updates_total": "counter",
    "flagsmith_sse_rejections_total": "counter",
    "flagsmith_sse_disconnects_total": "counter",
    "flagsmith_sse_lagging_subscribers": "gauge",
    "flagsmith_sse_environments": "gauge",
    "flagsmith_sse_nats_connected": "gauge",
    "flagsmith_sse_nats_reconnects_total": "counter",
    "flagsmith_sse_consumer_lag": "gauge",
    "flagsmith_sse_event_loop_lag_seconds": "gauge",
    "flagsmith_sse_build_info": "gauge",
}
MESSAGES = ("keepalive", "data", "healthcheck")
OPERATIONS = (
    *("connect", "publish", "create_jetstream", "create_consumer"),
    *("pull", "read", "ack"),
)
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


@pytest.fixture(params=["serve", "workers"])
def serving(request: pytest.FixtureRequest) -> str:
    """One worker, and two."""
    name: str = request.param
    return name


def nats_error(operation: str) -> str:
    return f'flagsmith_sse_nats_errors_total{{operation="{operation}"}}'


def written(message: str) -> str:
    return f'flagsmith_sse_http_writes_total{{message="{message}"}}'


def broken(message: str) -> str:
    return f'flagsmith_sse_http_errors_total{{message="{message}"}}'


def disconnected(reason: str) -> str:
    return f'flagsmith_sse_disconnects_total{{reason="{reason}"}}'


def rejected(reason: str) -> str:
    return f'flagsmith_sse_rejections_total{{reason="{reason}"}}'


def answered(status: int) -> str:
    return f'flagsmith_sse_publish_requests_total{{status="{status}"}}'


class Watch:
    """The metrics of `service`, against what they were when this was made."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._before = service.metrics()

    def moved(self, sample: str) -> float:
        return self._service.metric(sample) - self._before[sample]

    def await_moved(self, sample: str, by: float) -> None:
        eventually(lambda: self.moved(sample) == by, what=f"{sample} to move by {by}")

    def await_grown(self, sample: str) -> None:
        eventually(lambda: self.moved(sample) > 0, what=f"{sample} to grow")


@contextmanager
def reset_at_end(service: Service, environment: str) -> Iterator[socket.socket]:
    """A subscriber with a small receive buffer whose connection is reset when the block
    ends: no last word, no proper end."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.connect(("127.0.0.1", service.port))
        path = f"/sse/environments/{environment}/stream"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield client


def read_until(client: socket.socket, expected: bytes) -> None:
    client.settimeout(10)
    data = b""
    while expected not in data:
        more = client.recv(4096)
        assert more, data
        data += more


# The scrape itself


def test_scrape__openmetrics_accepted__classic_text_with_both_documented_names(
    service: Service,
) -> None:
    # Given / When
    answer = ask(service, "GET", "/metricsz", {"Accept": OPENMETRICS})
    # Then
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    for name, kind in DOCUMENTED.items():
        assert lines.count(f"# TYPE {name} {kind}") == 1, name
    assert not [line for line in lines if "_created" in line]


def test_scrape__nothing_has_happened__every_label_value_is_there_at_0(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        # When
        found = service.metrics()
        # Then
        expected = [
            *map(written, MESSAGES[:2]),
            *map(broken, MESSAGES),
            *map(nats_error, OPERATIONS),
            "flagsmith_sse_subscribers",
            "flagsmith_sse_subscribers_total",
        ]
        assert {name: found[name] for name in expected} == dict.fromkeys(expected, 0)


def test_scrape__environments_in_use__no_key_in_it(
    service: Service, environment: str
) -> None:
    # Given
    service.publish(environment, 1)
    ask(service, "GET", f"/{environment}")
    # When / Then
    assert environment not in requests.get(f"{service.url}/metricsz", timeout=5).text


def test_scrape__parsed_by_prometheus_client__accepted(service: Service) -> None:
    text = requests.get(f"{service.url}/metricsz", timeout=5).text
    assert list(text_string_to_metric_families(text))


@pytest.mark.parametrize("request_line", ["GET /metricsz", "HEAD /metricsz"])
def test_metrics_addr__set__served_there_and_nowhere_else(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, request_line: str
) -> None:
    # Given
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    method, path = request_line.split()
    with running_service(
        server, shared_nats.url, tmp_path, METRICS_ADDR=f"127.0.0.1:{port}"
    ) as service:
        service.await_ready()
        # When
        there = requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=5)
        elsewhere = requests.get(f"http://127.0.0.1:{port}/livez", timeout=5)
        wrong = requests.post(f"http://127.0.0.1:{port}{path}", timeout=5)
        public = requests.request(method, f"{service.url}{path}", timeout=5)
        # Then
        assert there.status_code == 200
        assert there.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert ("flagsmith_sse_ready" in there.text) == (method == "GET")
        assert (elsewhere.status_code, wrong.status_code) == (404, 405)
        assert public.status_code == 404


# Subscribers


async def test_subscribers__come_and_go__counted(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)

        # When
        async with (
            Stream(service.stream_url(environment)),
            Stream(service.stream_url(environment)),
            Stream(service.stream_url(f"{environment}-2")),
        ):
            # Then
            assert watch.moved("flagsmith_sse_subscribers") == 3
            assert watch.moved("flagsmith_sse_subscribers_total") == 3
            assert watch.moved("flagsmith_sse_environments") >= 2
        await asyncio.to_thread(watch.await_moved, "flagsmith_sse_subscribers", 0)
        await asyncio.to_thread(watch.await_moved, "flagsmith_sse_environments", 0)
        assert watch.moved(disconnected("client")) == 3
        assert watch.moved("flagsmith_sse_subscribers_total") == 3


async def test_stream__too_old__disconnects_aged(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_MAX_STREAM_AGE_SECONDS="0.2"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        # When
        async with Stream(service.stream_url(environment)) as stream:
            await stream.until_end()
        # Then
        assert watch.moved(disconnected("aged")) == 1


async def test_drain__streams_open__disconnects_drained_and_rejections_draining(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        SSE_DRAIN_SECONDS="60",
        SSE_REJECT_DELAY_SECONDS="0.1",
    ) as service:
        service.await_ready()
        watch = Watch(service)
        url = service.stream_url(environment)
        streams = [Stream(url) for _ in range(200)]
        for stream in streams:
            await stream.__aenter__()

        # When
        service.process.send_signal(signal.SIGTERM)
        watch.await_grown(disconnected("drained"))
        async with Stream(url) as late:
            # Then
            assert late.status == 503
        assert watch.moved(rejected("draining")) == 1
        assert watch.moved("flagsmith_sse_ready") == -1
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_instance__full__rejections_full(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        SSE_MAX_SUBSCRIBERS="1",
        SSE_REJECT_DELAY_SECONDS="0.1",
    ) as service:
        service.await_ready()
        watch = Watch(service)
        url = service.stream_url(environment)
        # When
        async with Stream(url), Stream(url) as second:
            # Then
            assert second.status == 503
        assert watch.moved(rejected("full")) == 1
        assert service.metric("flagsmith_sse_subscribers_limit") == 1


# What is written


async def test_update__published__written_read_and_timed(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")
        url = service.stream_url(environment)

        # When
        async with Stream(url) as stream, Stream(url) as other:
            service.publish(environment, 1)
            assert await stream.next_event() == event("1")
            assert await other.next_event() == event("1")

            # Then
            assert watch.moved(written("data")) == 2
            # Every worker reads every update.
            watch.await_moved("flagsmith_sse_updates_total", workers)
            assert watch.moved(answered(202)) == 1
            assert watch.moved("flagsmith_sse_publish_duration_seconds_count") == 1
            delivery = "flagsmith_sse_delivery_duration_seconds"
            # Once for every worker with a subscriber.
            assert 1 <= watch.moved(f"{delivery}_count") <= workers
            assert 0 < watch.moved(f"{delivery}_sum") < 5

            # When
            async with Stream(url) as late:
                assert await late.next_event() == event("1")

        # Then
        assert watch.moved(written("data")) == 3


async def test_stream__quiet__keepalives_counted(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECONDS="0.2"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        # When
        async with Stream(service.stream_url(environment)) as stream:
            blocks = [await stream.next_block() for _ in range(3)]
        # Then
        assert blocks[1:] == [": keep-alive\n\n"] * 2
        assert watch.moved(written("keepalive")) >= 2


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health__asked__healthchecks_counted(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, path: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        watch = Watch(service)
        # When
        ask(service, "GET", path)
        # Then
        assert watch.moved(written("healthcheck")) == 1


def test_health__connection_breaks_before_the_answers_are_read__errors(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECONDS="0.5"
    ) as service:
        watch = Watch(service)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.connect(("127.0.0.1", service.port))
            # More answers than the buffers between here and there hold.
            for asked in range(10, 100_000, 10):
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
                if not answered_all(watch, asked):
                    break
        # When: the block ended with a reset
        # Then
        watch.await_moved(broken("healthcheck"), 1)


def answered_all(watch: Watch, asked: int) -> bool:
    """Whether so many health checks are answered within a second."""
    deadline = time.monotonic() + 1
    while watch.moved(written("healthcheck")) < asked:
        if time.monotonic() > deadline:
            return False
    return True


async def test_connection__reset_while_quiet__error_of_the_keepalive(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        # When
        with reset_at_end(service, environment) as client:
            read_until(client, b"retry:")
        # Then
        watch.await_moved(broken("keepalive"), 1)
        assert watch.moved(disconnected("error")) == 1


async def test_connection__cut_while_backed_up__error_of_the_data(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECONDS="0.5"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        async with await nats_py.connect(shared_nats.url) as client:
            with reset_at_end(service, environment):
                # When
                for number in range(100_000):
                    subject = f"flagsmith.environment.{environment}"
                    await client.publish(subject, b'{"updated_at":%d}' % number)
                    if number % 1000 == 0:
                        await client.flush()
                        if watch.moved("flagsmith_sse_lagging_subscribers"):
                            break
                watch.await_moved("flagsmith_sse_lagging_subscribers", 1)
                await client.publish(subject, b'{"updated_at":200000}')
                await client.publish(subject, b'{"updated_at":200001}')
                # Then
                watch.await_grown("flagsmith_sse_skipped_total")
        watch.await_moved(broken("data"), 1)
        watch.await_moved("flagsmith_sse_lagging_subscribers", 0)


# Publishing


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"{}", {}),
        (401, b"", {"Authorization": "Token wrong"}),
        (413, b" " * 5000, {}),
        (415, b"", {"Content-Type": "text/plain"}),
    ],
)
def test_publish__refused__counted_by_status(
    service: Service,
    environment: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    # Given
    watch = Watch(service)
    # When
    answer = queue_change(service, environment, body, {**PUBLISHER, **headers})
    # Then
    assert answer.status == status
    assert watch.moved(answered(status)) == 1


# NATS


async def test_nats__down_and_up_again__every_operation_tells(
    serving: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        serving, nats.url, tmp_path, SSE_REJECT_DELAY_SECONDS="0.1"
    ) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")

        # When
        nats.kill()
        service.await_ready(False)

        # Then
        watch.await_moved("flagsmith_sse_nats_connected", -workers)
        watch.await_moved("flagsmith_sse_ready", -workers)
        watch.await_grown(nats_error("connect"))
        assert service.publish(environment, 1).status_code == 503
        assert watch.moved(nats_error("publish")) == 1
        assert watch.moved(answered(503)) == 1
        async with Stream(service.stream_url(environment)) as stream:
            assert stream.status == 503
        assert watch.moved(rejected("nats")) == 1

        # When
        nats.start()
        service.await_ready()

        # Then
        watch.await_moved("flagsmith_sse_nats_connected", 0)
        watch.await_moved("flagsmith_sse_nats_reconnects_total", workers)


async def test_stream__incompatible__create_jetstream(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    async with await nats_py.connect(nats.url) as client:
        await client.jetstream().add_stream(
            name="environments-stream",
            subjects=["flagsmith.environment.>"],
            storage=api.StorageType.FILE,
            sealed=False,
            deny_delete=True,
        )
    # When
    with running_service(serving, nats.url, tmp_path) as service:
        # Then
        eventually(
            lambda: service.metric(nats_error("create_jetstream")) > 0,
            what="the refusal to be counted",
        )


async def test_stream__no_more_consumers_allowed__create_consumer(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    async with await nats_py.connect(nats.url) as client:
        jetstream = client.jetstream()
        await jetstream.add_stream(
            name="environments-stream",
            subjects=["flagsmith.environment.>"],
            max_consumers=1,
        )
        await jetstream.add_consumer(
            "environments-stream", api.ConsumerConfig(durable_name="another")
        )
    # When
    with running_service(serving, nats.url, tmp_path) as service:
        # Then
        eventually(
            lambda: service.metric(nats_error("create_consumer")) > 0,
            what="the refusal to be counted",
        )


async def test_consumer__deleted__pull(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")
        consumers = [consumer["name"] for consumer in nats.stream()["consumer_detail"]]
        assert len(consumers) == workers
        # When
        async with await nats_py.connect(nats.url) as client:
            for name in consumers:
                await client.jetstream().delete_consumer("environments-stream", name)
        # Then
        watch.await_moved(nats_error("pull"), workers)


async def test_message__garbage__read(
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, nats.url, tmp_path) as service:
        service.await_ready()
        watch = Watch(service)
        workers = service.metric("flagsmith_sse_workers")
        # When
        async with await nats_py.connect(nats.url) as client:
            await client.publish("flagsmith.environment.x", b"garbage")
        # Then
        watch.await_moved(nats_error("read"), workers)
        assert watch.moved("flagsmith_sse_updates_total") == 0


async def test_acknowledgement__forbidden__ack(
    serving: str, tmp_path: Path, environment: str
) -> None:
    # Given
    config = tmp_path / "permissions.conf"
    config.write_text(
        "authorization: {users: [{user: sse, password: secret, "
        'permissions: {publish: {deny: ["$JS.ACK.>"]}}}]}\n'
    )
    with embedded_nats(tmp_path / "nats", arguments=["-c", str(config)]) as nats:
        url = nats.url.replace("://", "://sse:secret@")
        with running_service(serving, url, tmp_path) as service:
            service.await_ready()
            watch = Watch(service)
            # When
            service.publish(environment, 1)
            # Then
            watch.await_grown(nats_error("ack"))
            assert service.events("nats.ack_refused")


async def test_consumer__behind__lag_until_it_has_caught_up(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service("workers", nats.url, tmp_path) as service:
        service.await_ready()
        slow = service.workers()[0]
        async with await nats_py.connect(nats.url) as client:
            # When: one worker stands still while much is published
            os.kill(slow, signal.SIGSTOP)
            for number in range(40_000):
                subject = f"flagsmith.environment.{environment}-{number}"
                await client.publish(subject, b'{"updated_at":1}')
            await client.flush()
            os.kill(slow, signal.SIGCONT)
            # Then
            eventually(
                lambda: service.metric("flagsmith_sse_consumer_lag") > 0, what="a lag"
            )
            eventually(
                lambda: service.metric("flagsmith_sse_consumer_lag") == 0,
                what="the end of the lag",
            )


# The process


async def test_event_loop__stands_still__lag(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        process = service.workers()[0] if serving == "workers" else service.process.pid
        # When
        os.kill(process, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        os.kill(process, signal.SIGCONT)
        # Then
        eventually(
            lambda: service.metric("flagsmith_sse_event_loop_lag_seconds") > 1,
            what="the lag to show",
        )


def test_process__running__its_use_of_the_machine_and_version_told(
    serving: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, shared_nats.url, tmp_path) as service:
        service.await_ready()
        # When
        found = service.metrics()
        # Then
        workers = 2 if serving == "workers" else 1
        assert found["flagsmith_sse_workers"] == workers
        assert found["flagsmith_sse_ready"] == workers
        assert found['flagsmith_sse_build_info{version="0.1.0"}'] == 1
        assert found["process_cpu_seconds_total"] > 0.1
        assert found["process_resident_memory_bytes"] > workers * 20e6
        assert found["process_open_fds"] > workers * 5


# Several workers


async def test_worker__killed__its_gauges_go_and_no_counter_falls(
    workers: Service, environment: str
) -> None:
    # Given
    workers.await_ready()
    url = workers.stream_url(environment)
    streams = [Stream(url) for _ in range(20)]
    for stream in streams:
        await stream.__aenter__()
    workers.publish(environment, 1)
    eventually(lambda: workers.metric(written("data")) == 20, what="all to be told")
    before = workers.metrics()
    victim = workers.workers()[0]
    workers.expected_errors = {"worker.died"}

    # When
    os.kill(victim, signal.SIGKILL)
    workers.await_logged("worker.died")
    alone = workers.metrics()
    workers.await_logged("worker.started", 3)
    eventually(lambda: workers.metric("flagsmith_sse_ready") == 2, what="another")
    after = workers.metrics()

    # Then
    assert alone["flagsmith_sse_workers"] == 1
    assert alone["flagsmith_sse_subscribers"] < 20
    for name, value in before.items():
        if name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert value <= alone[name] <= after[name], name
    assert after["flagsmith_sse_subscribers_total"] == 20
    assert after["flagsmith_sse_worker_restarts_total"] == 1
    for stream in streams:
        await stream.__aexit__(None, None, None)


async def test_scrape__either_worker_asked__the_same_for_all(
    workers: Service, environment: str
) -> None:
    # Given
    workers.await_ready()
    async with (
        Stream(workers.stream_url(environment)),
        Stream(workers.stream_url(environment)),
        Stream(workers.stream_url(environment)),
    ):
        # When: every scrape is a new connection, to whichever worker gets it
        counts = {workers.metric("flagsmith_sse_subscribers") for _ in range(12)}
        # Then
        assert counts == {3}


def test_metrics_files__workers_replaced_again_and_again__no_more_and_gone_at_the_end(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    folder = tmp_path / "temporary"
    folder.mkdir()
    with running_service(
        "workers", shared_nats.url, tmp_path, TMPDIR=str(folder)
    ) as service:
        service.await_ready()
        [metrics] = folder.iterdir()
        counters = set()
        # When
        for round_number in range(1, 4):
            service.process.send_signal(signal.SIGHUP)
            service.await_logged("workers.replaced", round_number)
            counters |= {file.name for file in metrics.glob("counter_*.db")}
        # Then: the third is for the time when old and new run side by side
        assert counters <= {f"counter_{number}.db" for number in range(3)}
        assert metrics.stat().st_mode & 0o077 == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("serving_command", ["serve", "workers", "daphne"])
def test_metrics_addr__port_in_use__one_line_and_exit_code_1(
    serving_command: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # When
        with (
            pytest.raises(AssertionError) as failure,
            running_service(
                serving_command,
                shared_nats.url,
                tmp_path,
                METRICS_ADDR=f"127.0.0.1:{port}",
            ) as service,
        ):
            service.await_ready()
    # Then
    text = str(failure.value)
    assert f"port {port} is in use" in text
    assert "METRICS_ADDR" in text
    assert "Traceback" not in text
