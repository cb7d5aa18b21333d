"""Signals that come before the server is there, and the terminal that is closed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.processes import is_alive
from tests.support.service import ROOT, STOP_SECONDS, TOKEN, running_service
from tests.support.streams import Stream
from tests.support.waiting import eventually

SERVE = (sys.executable, "manage.py", "serve")
DAPHNE = (sys.executable, "-m", "daphne", "-p", "0", "flagsmith_sse.asgi:application")


@contextmanager
def starting(
    command: Sequence[str], log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that has just been started; what it writes goes to `log`."""
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SSE_", "NATS_"))},
        "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
        "SSE_AUTHENTICATION_TOKEN": TOKEN,
        "LISTEN_ADDR": "127.0.0.1:0",
        **environment,
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal. Without one, PID 1 of
    a container ignores it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "command",
    [SERVE, (*SERVE, "--workers=2"), ("flagsmith-sse", "serve")],
    ids=["serve", "workers", "package"],
)
def test_start__signal_in_its_first_moment__ends_with_0_and_without_a_trace(
    tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    # Given
    if command[0] == "flagsmith-sse":
        command = (sys.executable, "-m", "flagsmith_sse", *command[1:])
    log = tmp_path / "log"
    with starting(command, log) as process:
        eventually(lambda: handles(process.pid, signal.SIGTERM), what="a handler")

        # When
        process.send_signal(number)

        # Then
        assert process.wait(STOP_SECONDS) == 0
    assert log.read_text() == ""


def test_start__interrupted_when_nats_runs__ends_with_0_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    # Given
    log = tmp_path / "log"
    command = (*SERVE, "--with-nats", f"--nats-store={tmp_path / 'nats'}")
    with starting(command, log, SSE_AUTHENTICATION_TOKEN="") as process:
        eventually(lambda: len(children(process.pid)) == 2, what="NATS, and its guard")
        started = children(process.pid)

        # When
        process.send_signal(signal.SIGINT)

        # Then
        assert process.wait(STOP_SECONDS) == 0
    assert "Traceback" not in log.read_text()
    eventually(lambda: not any(map(is_alive, started)), what="NATS to be gone")


def test_start__sighup__goes_on(shared_nats: EmbeddedNats, tmp_path: Path) -> None:
    # Given
    log = tmp_path / "log"
    with starting(SERVE, log, NATS_URL=shared_nats.url) as process:
        eventually(lambda: handles(process.pid, signal.SIGHUP), what="a handler")

        # When
        process.send_signal(signal.SIGHUP)

        # Then
        eventually(lambda: "nats.connected" in log.read_text(), what="the service")
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0


def test_start__sigterm_while_daphne_imports__ends_with_0(tmp_path: Path) -> None:
    # Given
    log = tmp_path / "log"
    with starting(DAPHNE, log) as process:
        eventually(lambda: handles(process.pid, signal.SIGTERM), what="a handler")

        # When
        process.terminate()

        # Then
        assert process.wait(STOP_SECONDS) == 0
    assert "Traceback" not in log.read_text()


async def test_sighup__daphne__streams_end_properly(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service("daphne", shared_nats.url, tmp_path) as service:
        await asyncio.to_thread(service.await_ready)
        async with Stream(service.stream_url(environment)) as stream:
            await stream.next_block()

            # When
            service.process.send_signal(signal.SIGHUP)
            await stream.until_end()

            # Then
            assert stream.ended
        assert await asyncio.to_thread(service.process.wait, STOP_SECONDS) == 0


@pytest.mark.parametrize("arguments", [[], ["--workers=1"]])
def test_terminal__closed__stops_as_told_to(
    shared_nats: EmbeddedNats, tmp_path: Path, arguments: list[str]
) -> None:
    # Given: a session of its own, whose terminal it is
    near, far = os.openpty()
    log = tmp_path / "log"
    in_terminal = (
        "import fcntl, os, sys, termios; os.setsid(); "
        "fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0); "
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    command = [sys.executable, "-c", in_terminal, str(far), *SERVE, *arguments]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
                "SSE_AUTHENTICATION_TOKEN": TOKEN,
                "LISTEN_ADDR": "127.0.0.1:0",
                "NATS_URL": shared_nats.url,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[far],
        ) as process,
    ):
        os.close(far)
        try:
            eventually(lambda: "nats.connected" in log.read_text(), what="the service")

            # When
            os.close(near)

            # Then
            assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()
    assert "drain.finished" in log.read_text()
