"""The scrape itself: names, format, port, several workers."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.metrics import labelled_samples, written
from tests.support.nats import NatsServer
from tests.support.raw_http import ask
from tests.support.service import Service, running_service
from tests.support.streams import Stream
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
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


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
    serving: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service(serving, nats.url, tmp_path) as service:
        # When
        found = service.metrics()
        # Then
        expected = [
            *labelled_samples(),
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
        assert found["flagsmith_sse_workers_configured"] == workers
        assert found["flagsmith_sse_ready"] == workers
        assert found['flagsmith_sse_build_info{version="0.1.0"}'] == 1
        assert found["process_cpu_seconds_total"] > 0.1
        assert found["process_resident_memory_bytes"] > workers * 20e6
        assert found["process_open_fds"] > workers * 5


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
    restarts = "flagsmith_sse_worker_restarts_total"
    eventually(lambda: workers.metric(restarts) == 1, what="another")
    after = workers.metrics()

    # Then
    assert alone["flagsmith_sse_workers"] == 1
    assert alone["flagsmith_sse_subscribers"] < 20
    for name, value in before.items():
        if name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert value <= alone[name] <= after[name], name
    assert after["flagsmith_sse_subscribers_total"] == 20
    assert after["flagsmith_sse_workers"] == 2
    for stream in streams:
        await stream.__aexit__(None, None, None)


def test_worker__dies_before_it_listens__missed_and_its_restart_counted(
    workers: Service,
) -> None:
    # Given
    workers.expected_errors = {"worker.died"}
    os.kill(workers.workers()[0], signal.SIGKILL)

    # When
    workers.await_logged("worker.started", 3)
    os.kill(workers.workers()[0], signal.SIGKILL)
    workers.await_logged("worker.died", 2)

    # Then
    missed = workers.metrics()
    assert missed["flagsmith_sse_workers"] == 1
    assert missed["flagsmith_sse_workers_configured"] == 2
    restarts = "flagsmith_sse_worker_restarts_total"
    eventually(lambda: workers.metric(restarts) == 2, what="both to be counted")


def test_workers__all_dead__still_missed(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with running_service(
        "workers", shared_nats.url, tmp_path, METRICS_ADDR=address
    ) as service:
        service.await_ready()
        service.expected_errors = {"worker.died"}

        # When
        for worker in service.workers():
            os.kill(worker, signal.SIGKILL)
        service.await_logged("worker.died", 2)

        # Then
        told = requests.get(f"http://{address}/metricsz", timeout=5).text
        assert "\nflagsmith_sse_workers_configured 2.0\n" in told
        assert "\nflagsmith_sse_workers 0.0\n" in told
        assert "\nflagsmith_sse_ready 0.0\n" in told
        service.await_ready()


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


def test_temporary_folder__read_only__workers_run_and_scrapes_answer(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o500)
    with running_service(
        "workers", shared_nats.url, tmp_path, TMPDIR=str(folder)
    ) as service:
        service.await_ready()
        # When
        service.process.send_signal(signal.SIGHUP)
        service.await_logged("workers.replaced")
        # Then
        assert service.metric("flagsmith_sse_workers") == 2
        assert list(folder.iterdir()) == []


def test_scrape__supervisor_hangs__503_and_everything_else_goes_on(
    workers: Service, environment: str
) -> None:
    # Given
    workers.await_ready()
    workers.expected_errors = {"Service Unavailable: /metricsz"}

    # When
    os.kill(workers.process.pid, signal.SIGSTOP)
    try:
        scrape = requests.get(f"{workers.url}/metricsz", timeout=10)
        published = workers.publish(environment, 1)
    finally:
        os.kill(workers.process.pid, signal.SIGCONT)

    # Then
    assert scrape.status_code == 503
    assert scrape.text == "The supervisor does not answer."
    assert published.status_code == 202
    assert workers.metric("flagsmith_sse_ready") == 2


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
