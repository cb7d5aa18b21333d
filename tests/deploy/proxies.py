"""Caddy and nginx, really started in front of the service with the examples of docker/,
of which only names, ports and paths are changed."""

import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import Certificates, make_certificates
from tests.support.service import ROOT

DOCKER = ROOT / "docker"
START_SECONDS = 10
STOP_SECONDS = 10


@dataclass(frozen=True)
class Proxy:
    """`url` is for clients, who trust `authority`."""

    url: str
    authority: Path


def free_port() -> int:
    """A port for a server to listen on: none of those from which the system takes its
    own for outgoing connections, which might be quicker."""
    while True:
        port = random.randrange(10_000, 32_768)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """`text` with each of `pairs`, which must be there, replaced."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def caddy(upstreams: list[str], folder: Path) -> Iterator[Proxy]:
    certificates = make_certificates(folder)
    port = free_port()
    own = f"tls {certificates.certificate} {certificates.key}"
    example = (DOCKER / "caddy" / "Caddyfile").read_text()
    file = folder / "Caddyfile"
    file.write_text(
        replaced(example, ("{$SITE:localhost} {", "{$SITE:localhost} {\n\t" + own))
    )
    variables = {
        "SITE": f"https://127.0.0.1:{port}",
        "UPSTREAM": " ".join(upstreams),
        "HTTP_PORT": str(free_port()),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
    with _running(command, folder, port, certificates, **variables) as proxy:
        yield proxy


@contextmanager
def nginx(
    upstreams: list[str], folder: Path, *changes: tuple[str, str]
) -> Iterator[Proxy]:
    """`changes` are what else of the example is replaced."""
    certificates = make_certificates(folder)
    port = free_port()
    servers = "".join(f"server {upstream} max_fails=0;\n" for upstream in upstreams)
    example = (DOCKER / "nginx" / "nginx.conf").read_text()
    file = folder / "nginx.conf"
    file.write_text(
        replaced(
            example,
            ("server flagsmith-sse:8088 max_fails=0;\n", servers),
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/nginx/tls/tls.crt", str(certificates.certificate)),
            ("/etc/nginx/tls/tls.key", str(certificates.key)),
            ("worker_processes auto;", "worker_processes 1;"),
            *changes,
        )
    )
    globals_ = (
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'};"
    )
    # Debian puts it where only root looks.
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", f"{folder}/", "-c", str(file), "-g", globals_]
    if os.geteuid() == 0:
        command[-1] += " user root;"
    with _running(command, folder, port, certificates) as proxy:
        yield proxy


@contextmanager
def _running(
    command: list[str],
    folder: Path,
    port: int,
    certificates: Certificates,
    **variables: str,
) -> Iterator[Proxy]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        proxy = Proxy(f"https://127.0.0.1:{port}", certificates.authority)
        _await_tls(process, port, certificates, log)
        yield proxy
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_tls(
    process: subprocess.Popen[bytes], port: int, certificates: Certificates, log: Path
) -> None:
    context = ssl.create_default_context(cafile=certificates.authority)
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 1) as connection,
                context.wrap_socket(connection, server_hostname="127.0.0.1"),
            ):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"{process.args!r} did not start:\n{log.read_text()}")
