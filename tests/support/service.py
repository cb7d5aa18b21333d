"""The service as a real process, on either server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import requests

from tests.support.processes import is_alive, was_started_with
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "test-secret"
START_SECONDS = 20
STOP_SECONDS = 20
SERVERS = ("daphne", "serve", "workers")
"""Daphne's command line, `serve`, and `serve --workers 2`."""

SINGLE_SERVERS = ("daphne", "serve")
"""Those that are one process: what is in it can be asked."""

PROBES = 12
"""Enough connections to meet each of two workers: all but one time in two thousand."""


@dataclass
class Service:
    """A running service. `server` is one of `SERVERS`."""

    server: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    expected_errors: set[str] = field(default_factory=set)
    """Log events of level error or above that the test brings about."""
    killed: bool = False
    """Whether the test has killed it; it need not stop well then."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stream_url(self, environment: str) -> str:
        return f"{self.url}/sse/environments/{environment}/stream"

    def queue_change_url(self, environment: str) -> str:
        return f"{self.url}/sse/environments/{environment}/queue-change"

    def publish(
        self, environment: str, updated_at: object, token: str = TOKEN
    ) -> requests.Response:
        """As Flagsmith's task processor does it."""
        return requests.post(
            self.queue_change_url(environment),
            headers={"Authorization": f"Token {token}"},
            json={"updated_at": updated_at},
            timeout=2,
        )

    def is_ready(self) -> bool:
        """What `/readyz` says on a new connection."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def await_ready(self, ready: bool = True, seconds: float = START_SECONDS) -> None:
        """Wait until `/readyz` says so, of every worker, or fail with the log."""
        deadline = time.monotonic() + seconds
        probes = PROBES if self.server == "workers" else 1
        while any(self.is_ready() is not ready for _ in range(probes)):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(
                    f"{self.server} did not turn {'' if ready else 'un'}ready:\n"
                    + self.log.read_text()
                )
            time.sleep(0.02)

    def metrics(self) -> dict[str, float]:
        """The value of every sample (name and labels) in `/metricsz`."""
        text = requests.get(f"{self.url}/metricsz", timeout=5).text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (s.rsplit(" ", 1) for s in lines)}

    def metric(self, sample: str) -> float:
        """The value of `sample` in `/metricsz`."""
        return self.metrics()[sample]

    def introspect(self) -> dict[str, Any]:
        """What is in the process, where it runs with the settings of
        `tests.support.introspection`."""
        answer = requests.get(f"{self.url}/introspection", timeout=5)
        found: dict[str, Any] = answer.json()
        return found

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What it has logged so far; only the events called `name`, if given."""
        events = []
        # The last line may not be complete yet.
        for line in self.log.read_text().split("\n")[:-1]:
            if line.startswith("{"):
                event = json.loads(line)
                if name in (None, event["event"]):
                    events.append(event)
        return events

    def await_logged(self, name: str, times: int = 1) -> None:
        """Wait until it has logged so many events called `name`."""
        eventually(
            lambda: len(self.events(name)) >= times, seconds=START_SECONDS, what=name
        )

    def workers(self) -> list[int]:
        """The newest process of each worker, as the log tells."""
        newest = {e["worker"]: e["pid"] for e in self.events("worker.started")}
        return [newest[worker] for worker in sorted(newest)]

    def running_workers(self) -> list[int]:
        """The processes that still run, of all the workers that were ever started."""
        started = [event["pid"] for event in self.events("worker.started")]
        return [pid for pid in started if is_alive(pid)]

    def kill(self) -> None:
        """Kill it as `kill -9` does; of several processes only the supervisor."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """Leave no process of it behind."""
        self.kill()
        for pid in self.running_workers():
            if was_started_with(pid, str(self.log.parent)):
                os.kill(pid, signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise

    def unexpected(self) -> list[dict[str, Any]]:
        """The first few errors that it logged and that no test expects."""
        errors = [
            event
            for event in self.events()
            if event["level"] in ("error", "critical")
            and event["event"] not in self.expected_errors
        ]
        return errors[:3]


@contextmanager
def running_service(
    server: str,
    nats_url: str,
    folder: Path,
    *,
    arguments: Sequence[str] = (),
    open_files: str = "",
    program: Sequence[str] = (sys.executable, "manage.py"),
    cwd: str = str(ROOT),
    application: str = "flagsmith_sse.asgi:application",
    **environment: str,
) -> Iterator[Service]:
    """Run the service until the end of the block, on a free port of loopback, with its
    log in `folder`; `environment` adds to its variables, `arguments` to the command
    line of `serve`, and `open_files` is what its `ulimit` is set to. `program`, run in
    `cwd`, is the command line of Django that has `serve`; `application` is what Daphne
    runs.

    Does not wait until it is ready, only until it listens. At the end it must stop by
    SIGTERM with exit code 0, and must not have logged an error.
    """
    number = len(list(folder.glob(f"{server}-*.log")))
    log = folder / f"{server}-{number}.log"
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SSE_", "NATS_"))},
        # Not that of pytest itself.
        "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
        "SSE_AUTHENTICATION_TOKEN": TOKEN,
        "NATS_URL": nats_url,
        "LOG_FORMAT": "json",
        "LISTEN_ADDR": "127.0.0.1:0",
        "SSE_DRAIN_SECONDS": "1",
        "DATABASE_URL": f"sqlite:///{folder / 'unused.sqlite3'}",
        "PYTHONWARNINGS": "default",
        **environment,
    }
    with log.open("wb") as output:
        if server == "daphne":
            service = _start_daphne(application, variables, output, log)
        else:
            more = ["--workers=2"] if server == "workers" else []
            command = _limited(open_files, [*program, "serve", *more, *arguments])
            service = _start_serve(server, command, cwd, variables, output, log)
        process = service.process
        try:
            yield service
            if service.killed:
                return
            crashed = process.poll()
            assert crashed in (None, 0), f"{server} died: {log.read_text()}"
            code = service.stop()
            assert code == 0, f"{server} exited with {code}:\n{log.read_text()}"
            assert not service.unexpected(), service.unexpected()
            assert "Traceback" not in log.read_text(), log.read_text()
        finally:
            service.kill_all()


def _limited(open_files: str, command: list[str]) -> list[str]:
    """`command` with a limit of open files, if there is one."""
    if open_files:
        return ["sh", "-c", f'ulimit {open_files}; exec "$@"', "sh", *command]
    return command


def _start_daphne(
    application: str, variables: dict[str, str], output: IO[bytes], log: Path
) -> Service:
    # Daphne prints no port that it was given by the system: hand it a socket.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "daphne", "--fd", str(listener.fileno())),
                *("--access-log", os.devnull, application),
            ],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
        )
    return Service("daphne", f"http://127.0.0.1:{port}", process, log)


def _start_serve(
    server: str,
    command: Sequence[str],
    cwd: str,
    variables: dict[str, str],
    output: IO[bytes],
    log: Path,
) -> Service:
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    service = Service(server, "", process, log)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        [workers] = [e["workers"] for e in service.events("supervisor.started")] or [1]
        started = service.events("server.started")
        if len(started) == workers:
            service.url = f"http://127.0.0.1:{started[0]['port']}"
            return service
        time.sleep(0.02)
    service.kill_all()
    raise AssertionError(f"serve did not start:\n{log.read_text()}")
