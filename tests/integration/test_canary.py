"""The canary of a running service: it measures while all is well, fails while NATS is
away, and is gone when its process leaves."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import nats as nats_py

from realtime import metrics
from realtime.environments import PROBE_PREFIX
from realtime.jetstream.subjects import ALL_SUBJECTS, SUBJECT_PREFIX
from realtime.probing.canary import Canary
from realtime.server.embedded_nats import EmbeddedNats
from tests.support.nats import NatsServer
from tests.support.service import ROOT, TOKEN, running_service
from tests.support.waiting import eventually

COUNT = "flagsmith_sse_canary_duration_seconds_count"
SUM = "flagsmith_sse_canary_duration_seconds_sum"
FAILURES = "flagsmith_sse_canary_failures_total"
ACCEPTED = 'flagsmith_sse_publish_requests_total{status="202"}'
STORED = "flagsmith_sse_publish_duration_seconds_count"
SUBSCRIBERS = "flagsmith_sse_subscribers"
EVERY_SECOND = {"SSE_CANARY_SECONDS": "1"}
SOON = 30


def test_canary__all_well__measured_and_no_customer(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(server, shared_nats.url, tmp_path, **EVERY_SECOND) as service:
        # When
        eventually(lambda: service.metric(COUNT) >= 4, seconds=SOON, what="canaries")

        # Then
        found = service.metrics()
        assert 0 < found[SUM] / found[COUNT] < 5
        assert found[FAILURES] == 0
        # Nothing that is taken for Flagsmith's own, and no stream that stays.
        assert (found[ACCEPTED], found[STORED]) == (0, 0)
        eventually(lambda: service.metric(SUBSCRIBERS) == 0, what="no subscriber")
        assert not service.events("canary.failed")


def test_canary__off__nothing_measured(
    single_server: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(single_server, shared_nats.url, tmp_path) as service:
        service.await_ready()

        # Then
        found = service.metrics()
        assert (found[COUNT], found[FAILURES]) == (0, 0)


def test_canary__nats_away__failures_until_it_is_back(
    single_server: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service(single_server, nats.url, tmp_path, **EVERY_SECOND) as service:
        eventually(lambda: service.metric(COUNT) >= 1, seconds=SOON, what="a canary")

        # When
        nats.kill()

        # Then
        eventually(lambda: service.metric(FAILURES) >= 2, seconds=SOON, what="failures")
        assert len(service.events("canary.failed")) == 1

        # When
        nats.start()
        service.await_ready()
        measured = service.metric(COUNT)

        # Then
        eventually(lambda: service.metric(COUNT) > measured, seconds=SOON, what="more")
        service.await_logged("canary.recovered")


async def test_canary__nobody_has_asked_for_anything__knows_where_it_listens(
    server: str, nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    client = await nats_py.connect(nats.url)
    published = await client.subscribe(ALL_SUBJECTS)

    # When
    with running_service(server, nats.url, tmp_path, **EVERY_SECOND) as service:
        message = await published.next_msg(SOON)

        # Then
        assert message.subject.startswith(SUBJECT_PREFIX + PROBE_PREFIX)
        assert not service.events("canary.unable")
    await client.close()


def test_canary__process_stops__well_and_without_a_failure(
    single_server: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(
        single_server, shared_nats.url, tmp_path, **EVERY_SECOND
    ) as service:
        eventually(lambda: service.metric(COUNT) >= 1, seconds=SOON, what="a canary")

        # When
        code = service.stop()

        # Then
        assert code == 0
        assert not service.events("canary.failed")
        assert not service.events("task.died")


def test_canary__unix_socket__says_once_that_it_cannot(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    log = tmp_path / "log"
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SSE_", "NATS_"))},
        "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
        "SSE_AUTHENTICATION_TOKEN": TOKEN,
        "NATS_URL": shared_nats.url,
        "LOG_FORMAT": "json",
        **EVERY_SECOND,
    }
    command = ["-m", "daphne", "-u", str(tmp_path / "socket")]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, *command, "flagsmith_sse.asgi:application"],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            # When
            eventually(
                lambda: "canary.unable" in log.read_text(), seconds=SOON, what="a word"
            )
        finally:
            process.terminate()

    # Then
    assert process.returncode == 0
    assert log.read_text().count("canary.unable") == 1
    assert "canary.failed" not in log.read_text()


async def test_canary__stopped_under_way__ends_at_once_and_counts_nothing() -> None:
    # Given: a server that takes a stream's request and never answers
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()
        writer.close()

    before = metrics.canary_failures_total._value.get()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        where = server.sockets[0].getsockname()
        waiting = Canary(
            seconds=0.01, token="t", where=lambda: where, refusal=lambda: None
        )
        running = asyncio.ensure_future(waiting.run())
        async with asyncio.timeout(10):
            await asked.wait()

        # When
        waiting.stop()

        # Then
        async with asyncio.timeout(3):
            await left.wait()
        running.cancel()
        await asyncio.wait([running])
    assert metrics.canary_failures_total._value.get() == before
