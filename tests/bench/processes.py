"""The processes that are measured: started pinned to cores, stopped by their handle."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Path(__file__).parent / "native"
TOKEN = "bench"
SERVER_CORE, CLIENT_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30


@dataclass(frozen=True)
class Target:
    """What is measured: its port, and the processes whose CPU and memory count."""

    port: int
    pids: list[int]

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        total = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def open_files(self) -> list[int]:
        """Of each process, right now."""
        return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids]


@contextmanager
def running(
    command: list[str], *, cores: str | None, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on `cores` (None: all), without output, until the block ends."""
    pinned = ["taskset", "-c", cores, *command] if cores else command
    process = subprocess.Popen(
        pinned,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def service(
    nats_url: str,
    port: int,
    *,
    server: str = "serve",
    workers: int = 1,
    cores: str | None = SERVER_CORE,
    environment: dict[str, str] | None = None,
) -> Iterator[Target]:
    """The service on `server` (`serve` or `daphne`), ready."""
    if server == "daphne":
        endpoint = f"tcp:port={port}:interface=127.0.0.1:backlog=4096"
        command = [
            *(sys.executable, "-m", "daphne", "--access-log", os.devnull),
            *("--endpoint", endpoint, "flagsmith_sse.asgi:application"),
        ]
    else:
        # One alone is measured without a supervisor.
        count = workers if workers > 1 else 0
        command = [sys.executable, "manage.py", "serve", f"--workers={count}"]
    variables = {
        "SSE_AUTHENTICATION_TOKEN": TOKEN,
        "NATS_URL": nats_url,
        "LISTEN_ADDR": f"127.0.0.1:{port}",
        "LOG_LEVEL": "ERROR",
        "SSE_DRAIN_SECONDS": "1",
        **(environment or {}),
    }
    with running(command, cores=cores, environment=variables) as process:
        await_ready(port, probes=4 * workers)
        pids = children(process.pid) if workers > 1 else [process.pid]
        yield Target(port, pids)


def await_listening(port: int) -> None:
    """Wait until something takes connections on `port` of loopback."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing listens on port {port}") from None
            time.sleep(0.01)


def await_ready(port: int, probes: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    ready = 0
    while ready < probes:
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing is ready on port {port}")
        try:
            url = f"http://127.0.0.1:{port}/readyz"
            ready = ready + 1 if requests.get(url, timeout=2).ok else 0
        except requests.ConnectionError:
            time.sleep(0.05)


def children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ]


def compiled(name: str, folder: Path) -> str:
    """Compile `native/<name>.c` into `folder`; returns the program."""
    program = folder / name
    if not shutil.which("gcc"):
        raise SystemExit("make bench needs a C compiler: apt-get install gcc")
    subprocess.run(
        ["gcc", "-O2", "-w", "-o", str(program), str(NATIVE / f"{name}.c")], check=True
    )
    return str(program)


@contextmanager
def floor(program: str, port: int) -> Iterator[Target]:
    """One epoll loop in C and one bare `send()` per subscriber."""
    with running([program, str(port)], cores=SERVER_CORE) as process:
        await_listening(port)
        yield Target(port, [process.pid])


@contextmanager
def nchan(folder: Path) -> Iterator[Target]:
    """nginx with nchan, with the configuration in `native/nchan.conf`."""
    Path("/tmp/nchan-bench").mkdir(exist_ok=True)  # noqa: S108  named in that file
    command = ["nginx", "-c", str(NATIVE / "nchan.conf"), "-g", "daemon off;"]
    with running(command, cores=SERVER_CORE) as process:
        await_listening(9090)
        yield Target(9090, [process.pid, *children(process.pid)])
