"""Gathering the fleet over NATS: `realtime.fleet`, `manage.py fleet`, and what both
make of answers that nobody should have given."""

import asyncio
import json
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import nats as nats_py
import pytest
from nats.aio.msg import Msg

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.environment.messages import ENVIRONMENT
from realtime.fleet.environment.round_trip import send_test_update
from realtime.fleet.messages import REPORT, Answer, OutboxReport, Quantiles
from realtime.fleet.overview import gather
from realtime.fleet.survey import ANSWER_SECONDS, CONNECT_SECONDS, survey
from realtime.fleet.wire_types import encode
from realtime.jetstream import request_many
from realtime.jetstream.stream_config import StreamSettings
from tests.admin.fleet import Fleet
from tests.integration.test_commands import ctrl_c, manage, running
from tests.support.crowd import crowd
from tests.support.nats import NatsServer
from tests.support.service import ROOT, TOKEN, running_service
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

CROWD = 2000
ROUNDS = 15


def variables(nats: NatsServer) -> dict[str, str]:
    return {"SSE_AUTHENTICATION_TOKEN": TOKEN, "NATS_URL": nats.url}


async def test_gather__real_instances__tells_what_they_did(
    fleet: Fleet, environment: str
) -> None:
    # Given
    async with (
        Stream(fleet.daphne.stream_url(environment)) as stream,
        Stream(fleet.workers.stream_url(environment)) as other,
    ):
        await stream.next_block()
        await other.next_block()
        for number in range(3):
            answer = await asyncio.to_thread(
                fleet.daphne.publish, environment, number + 0.5
            )
            assert answer.status_code == 202
            assert await stream.next_event() == event(f"{number}.5")

        # When
        report = await gather(fleet.settings)
        while len(report.instances) < 3:  # a busy machine may answer too late
            report = await gather(fleet.settings)

    # Then
    assert report.verdict.level == "well"
    assert report.missing == ()
    assert {one.pid for one in report.instances} == {
        *fleet.workers.workers(),
        fleet.daphne.process.pid,
    }
    assert sorted(
        -1 if one.worker is None else one.worker for one in report.instances
    ) == [-1, 0, 1]
    assert report.totals.subscribers == 2
    assert report.totals.updates_delivered == 6
    [lone] = [one for one in report.instances if one.worker is None]
    assert (lone.updates_read, lone.updates_delivered) == (3, 3)
    assert (lone.subscribers, lone.environments, lone.sequence) == (1, 1, 3)
    assert lone.publish_seconds is not None
    assert lone.delivery_seconds is not None
    assert (lone.publish_seconds.count, lone.delivery_seconds.count) == (3, 3)
    assert lone.nats_server == fleet.nats.url.removeprefix("nats://")
    assert 0 < lone.uptime < 60
    short = f"{environment[:6]}…{environment[-4:]}"
    [update] = report.latest
    assert (update.environment, update.updated_at, update.sequence) == (short, "2.5", 3)
    assert [(b.environment, b.subscribers) for b in report.busiest] == [(short, 2)]
    assert report.stream is not None
    assert report.stream.differences == []
    assert report.stream.last_sequence == 3
    assert report.stream.consumers is not None
    names = {consumer.name for consumer in report.stream.consumers}
    assert names == {one.instance for one in report.instances}


async def test_gather__connection_lost_and_back__error_and_reconnect_told(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        nats.kill()
        service.await_ready(False)
        nats.start()
        service.await_ready()

        # When
        report = await gather(settings)

    # Then
    [one] = report.instances
    assert one.nats_reconnects == 1
    assert one.last_error is not None
    assert "NATS" in one.last_error
    assert one.last_error_at is not None
    assert 0 <= one.now - one.last_error_at < 60


async def test_gather__process_with_other_settings__judged_by_the_instances_settings(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    asking = RealtimeSettings(nats_servers=(nats.url,))
    with running_service(
        *("serve", nats.url, tmp_path),
        NATS_STREAM_STORAGE="memory",
        NATS_STREAM_MAX_AGE_SECONDS="60",
    ) as service:
        service.await_ready()

        # When
        report = await gather(asking)

        # Then
        assert report.verdict.level == "well"
        assert report.stream is not None
        assert report.stream.differences == []

        # When: one more instance, which wants something else
        other = StreamSettings(storage="memory", replicas=1, max_age=90)
        with simulated_fleet(asking, made_up(stream=other), others=1):
            # For a quarter of a second the first answers as it did, and of one alive.
            async with asyncio.timeout(10):
                while len((report := await gather(asking)).instances) < 2:
                    pass

    # Then
    assert report.verdict.level == "degraded"
    name = made_up(stream=other).name
    assert report.verdict.reasons[0] == (
        "The stream's max_age is 60000000000 instead of 90000000000, as "
        f"{name} wants it (NATS_STREAM_MAX_AGE_SECONDS)."
    )


async def test_gather__incompatible_stream__down_and_said_why(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    client = await nats_py.connect(nats.url)
    await client.jetstream().add_stream(
        name="environments-stream",
        subjects=["flagsmith.environment.>"],
        storage="memory",
    )
    settings = RealtimeSettings(nats_servers=(nats.url,))
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready(False)

        # When
        report = await gather(settings)
    await client.close()

    # Then
    assert report.verdict.level == "down"
    assert report.stream is not None
    assert "storage" in {setting.name for setting in report.stream.differences}
    assert any("storage" in reason for reason in report.verdict.reasons)


async def test_gather__answers_that_are_none__passed_over(
    nats: NatsServer,
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    liar = await nats_py.connect(nats.url)
    nested = b'{"x":%b' % (b"[" * 5000)

    async def lie(message: Msg) -> None:
        if message.reply:
            for payload in (b"", b"{}", b"\xff" * 100, nested, b"[1]"):
                await message.respond(payload)
            await message.respond(encode(made_up(9)))
            for impossible in (
                {"outbox": OutboxReport(1, since=1e300)},
                {"started_at": -1e300},
                {"delivery_seconds": Quantiles(1e300, 1e300, 1e300, 1)},
            ):
                report = made_up(8, **impossible)
                await message.respond(encode(Answer(report=report, alive=1)))

    await liar.subscribe("flagsmith.fleet.>", cb=lie)
    with simulated_fleet(settings, made_up()):
        # When
        report = await gather(settings)
    await liar.close()

    # Then
    assert [one.host for one in report.instances] == ["host-0"]


async def test_survey__nonsense_without_end__only_so_much_is_read(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(request_many, "MAX_BYTES", 1000)
    settings = RealtimeSettings(nats_servers=(nats.url,))
    liar = await nats_py.connect(nats.url)

    async def lie(message: Msg) -> None:
        for _ in range(10):
            await message.respond(b"x" * 200)
        await message.respond(encode(Answer(report=made_up(), alive=1)))

    await liar.subscribe(REPORT, cb=lie)
    await liar.flush()

    # When
    began = time.monotonic()
    async with survey(settings) as asking:
        answer = await asking.ask_one(REPORT, Answer)
    took = time.monotonic() - began
    await liar.close()

    # Then: it is not waited for more, either
    assert answer is None
    assert took < ANSWER_SECONDS


async def test_report__reply_subject_of_jetstream_s_interface__not_answered(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: who may ask for a report, but not purge the stream, asks an instance to
    settings = RealtimeSettings(nats_servers=(nats.url,))
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        service.publish(environment, 1)
        client = await nats_py.connect(nats.url)

        # When
        purge = "$JS.API.STREAM.PURGE.environments-stream"
        await client.publish(REPORT, b"", reply=purge)
        await client.flush()
        await gather(settings)

        # Then
        assert nats.stream()["state"]["messages"] == 1
        await client.close()


async def test_survey__servers_that_accept_and_hang__another_one_is_used(
    nats: NatsServer,
) -> None:
    # Given
    with ExitStack() as listeners:
        hanging = [
            listeners.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(3)
        ]
        urls = [f"nats://127.0.0.1:{one.getsockname()[1]}" for one in hanging]
        settings = RealtimeSettings(nats_servers=(*urls, nats.url))

        # When
        began = time.monotonic()
        async with survey(settings) as asking:
            took = time.monotonic() - began

            # Then
            assert asking.client.is_connected
    assert took < CONNECT_SECONDS


async def test_gather__nats_hangs__said_within_two_seconds(fleet: Fleet) -> None:
    # Given
    fleet.nats.signal(signal.SIGSTOP)
    try:
        # When
        began = time.monotonic()
        report = await gather(fleet.settings)

        # Then
        assert time.monotonic() - began < 2
        assert report.verdict.level == "down"
        address = fleet.nats.url.removeprefix("nats://")
        assert report.nats_error == (
            f"Cannot connect to NATS at {address}: no answer in time"
        )
    finally:
        fleet.nats.signal(signal.SIGCONT)


async def test_gather__all_the_time_during_broadcasts__streams_are_not_slower(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    done = asyncio.Event()

    async def gather_on() -> None:
        while not done.is_set():
            await gather(settings)

    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        async with crowd(service, environment, CROWD):
            quiet, busy = [], []
            for _ in range(ROUNDS):
                # When: in turns, so that the machine's other work disturbs both
                quiet.append(await deliver(settings, environment))
                done.clear()
                gathering = asyncio.create_task(gather_on())
                busy.append(await deliver(settings, environment))
                done.set()
                await gathering

    # Then
    assert statistics.median(busy) < 1.5 * statistics.median(quiet) + 0.02


async def test_test_update__nats_killed_before_it_is_sent__unavailable(
    nats: NatsServer, environment: str
) -> None:
    # Given: somebody who is asked, like every instance
    settings = RealtimeSettings(nats_servers=(nats.url,))
    asked = await nats_py.connect(nats.url, allow_reconnect=False)

    async def kill(message: Msg) -> None:
        nats.kill()

    await asked.subscribe(ENVIRONMENT, cb=kill)
    await asked.flush()

    # When / Then
    with pytest.raises(NatsUnavailable, match="connection closed"):
        await send_test_update(settings, environment)
    await asked.close()


async def deliver(settings: RealtimeSettings, environment: str) -> float:
    """Seconds until everybody in the crowd was written to."""
    probe = await send_test_update(settings, environment)
    [one] = probe.reached
    assert one.subscribers == CROWD
    return one.seconds


def test_command__fleet_that_is_well__tells_in_a_table_and_exits_with_0(
    fleet: Fleet,
) -> None:
    # When
    done = manage("fleet", environment=variables(fleet.nats))

    # Then
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "All well"
    for pid in (*fleet.workers.workers(), fleet.daphne.process.pid):
        [row] = [line for line in lines if f"({pid}" in line]
        assert " ready " in row


def test_command__json__the_whole_report_in_one_line(fleet: Fleet) -> None:
    # When
    done = manage("fleet", "--json", environment=variables(fleet.nats))

    # Then
    assert done.returncode == 0
    [line] = done.stdout.splitlines()
    report = json.loads(line)
    assert report["verdict"]["level"] == "well"
    assert len(report["instances"]) == 3


def test_command__one_killed__degraded_and_exits_with_1(fleet: Fleet) -> None:
    # Given
    fleet.daphne.kill()

    # When: the command has never seen it, but the others have
    def missing() -> subprocess.CompletedProcess[str] | None:
        done = manage("fleet", environment=variables(fleet.nats))
        return done if "missing" in done.stdout else None

    done = eventually(missing, what="it to be missed")

    # Then
    assert done is not None
    assert done.returncode == 1
    assert done.stdout.startswith("Degraded for ")
    assert "    Its applications connect again" in done.stdout
    assert "does not answer, last seen" in done.stdout


def test_command__nats_down__says_so_and_exits_with_2() -> None:
    # When
    done = manage(
        "fleet",
        environment={
            "SSE_AUTHENTICATION_TOKEN": TOKEN,
            "NATS_URL": "nats://me:hunter2@127.0.0.1:1",
        },
    )

    # Then
    assert done.returncode == 2
    assert done.stdout.startswith(
        "Down\n  Cannot connect to NATS at 127.0.0.1:1: connection refused"
    )
    assert "    Applications keep the flags that they have" in done.stdout
    assert "Nothing is known of the instances" in done.stdout
    assert "SUBSCRIBERS" not in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_command__hostile_report__gives_the_terminal_no_orders(
    nats: NatsServer,
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    hostile = made_up(host="\x1b[2Jcleared", last_error="\x07\n\x9b1m", last_error_at=1)
    with simulated_fleet(settings, hostile):
        # When
        done = manage("fleet", environment=variables(nats))

    # Then
    assert "?[2Jcleared" in done.stdout
    assert all(c.isprintable() for c in done.stdout.replace("\n", ""))


def test_command__watch__again_and_again_until_ctrl_c(
    fleet: Fleet, tmp_path: Path
) -> None:
    # Given
    log = tmp_path / "log"
    with running(
        *("fleet", "--watch", "--json"), environment=variables(fleet.nats), output=log
    ) as process:
        # When
        eventually(lambda: log.read_text().count("\n") >= 2, what="two reports")

        # Then
        assert ctrl_c(process) == 0
    reports = [json.loads(line) for line in log.read_text().splitlines()]
    assert reports[1]["at"] - reports[0]["at"] >= 2


def test_command__watched_until_nats_is_lost__tells_what_was_known_before(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    log = tmp_path / "log"
    settings = RealtimeSettings(nats_servers=(nats.url,))
    with (
        simulated_fleet(settings, made_up()),
        running("fleet", "--watch", environment=variables(nats), output=log) as process,
    ):
        eventually(lambda: "host-0 (1000)" in log.read_text(), what="a report")

        # When
        nats.kill()

        # Then
        eventually(lambda: "before NATS was lost" in log.read_text(), what="an outage")
        eventually(
            lambda: "host-0 (1000)" in log.read_text().partition("NATS was lost")[2],
            what="the last known table",
        )
        assert ctrl_c(process) == 0


def test_other_project__realtime_installed__has_the_page_without_flagsmith_sse(
    fleet: Fleet,
) -> None:
    # When
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.other_project", fleet.nats.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    # Then
    found = json.loads(done.stdout)
    assert found["instances"] == 3
    assert found["verdict"] == "well"
    assert found["flagsmith_sse"] == []


def test_service__fleet_s_subjects_forbidden__works_as_ever(
    url_without_fleet: str, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service("serve", url_without_fleet, tmp_path) as service:
        service.await_ready()

        # When
        answer = service.publish(environment, 1)
        settings = RealtimeSettings(nats_servers=(url_without_fleet,))
        report = asyncio.run(gather(settings))

        # Then
        assert answer.status_code == 202
        assert service.is_ready()
        assert report.verdict.reasons == ("NATS is there, but no instance answers.",)
        assert report.stream is not None
        assert len(service.events("nats.connected")) == 1
