"""A log that nobody reads stops nothing, and garbage does not fill it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.raw_http import ask, queue_change
from tests.support.service import ROOT, STOP_SECONDS, TOKEN, Service, running_service
from tests.support.streams import Stream, event

GARBAGE = 50


@contextmanager
def unread_service(server: str, nats_url: str, folder: Path) -> Iterator[Service]:
    """A service whose log nobody reads: it goes to a pipe that is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        command = ["-m", "daphne", "-v", "0", "--fd", str(listener.fileno())]
        command += ["flagsmith_sse.asgi:application"]
        if server == "serve":
            command = ["manage.py", "serve"]
            listener.close()
        unread, log = os.pipe()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
                "SSE_AUTHENTICATION_TOKEN": TOKEN,
                "SSE_DRAIN_SECONDS": "1",
                "NATS_URL": nats_url,
                "LISTEN_ADDR": f"127.0.0.1:{port}",
                "DATABASE_URL": f"sqlite:///{folder / 'unused.sqlite3'}",
            },
            stderr=log,
            pass_fds=[listener.fileno()] if server == "daphne" else [],
        )
    service = Service(server, f"http://127.0.0.1:{port}", process, folder / "none")
    service.log.touch()
    # A file description of its own: what does not block here would not there, either.
    filling = os.open(f"/proc/self/fd/{log}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        service.await_ready()
        with suppress(BlockingIOError):
            while True:
                os.write(filling, b"x" * 4096)
        with suppress(BlockingIOError):
            while True:
                os.write(filling, b"x")
        yield service
    finally:
        service.kill()
        for descriptor in (unread, log, filling):
            os.close(descriptor)


async def test_log__nobody_reads_it__everything_goes_on_and_stops_well(
    shared_nats: EmbeddedNats, single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given
    with unread_service(single_server, shared_nats.url, tmp_path) as service:
        async with Stream(service.stream_url(environment)) as stream:
            # When: something is logged
            refused = await asyncio.to_thread(queue_change, service, environment, b"{}")
            assert refused.status == 400
            wrong = await asyncio.to_thread(
                queue_change, service, environment, b"{}", {"Authorization": "Token x"}
            )
            assert wrong.status == 401

            # Then
            answer = await asyncio.to_thread(service.publish, environment, 1)
            assert answer.status_code == 202
            assert await stream.next_event() == event("1")
            assert (
                await asyncio.to_thread(ask, service, "GET", "/livez")
            ).status == 200
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.process.wait, STOP_SECONDS) == 0


@pytest.mark.parametrize(
    ("target", "counted"),
    [
        (b"GARBAGE\r\n\r\n", 'flagsmith_sse_bad_requests_total{status="400"}'),
        (
            b"GET /sse/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            'flagsmith_sse_bad_requests_total{status="404"}',
        ),
        (
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            'django_http_responses_total_by_status_total{status="404"}',
        ),
    ],
    ids=["garbage", "path below ours", "path of Django's"],
)
def test_log__garbage__counted_and_logged_now_and_then(
    shared_nats: EmbeddedNats, tmp_path: Path, target: bytes, counted: str
) -> None:
    # Given
    with running_service("serve", shared_nats.url, tmp_path) as service:
        service.await_ready()
        before = service.metrics().get(counted, 0)
        lines = len(service.events())

        # When
        for _ in range(GARBAGE):
            with socket.create_connection(("127.0.0.1", service.port), 10) as client:
                client.sendall(target)
                assert client.recv(1000).startswith(b"HTTP/1.1 4")

        # Then
        assert service.metric(counted) == before + GARBAGE
        assert len(service.events()) - lines < GARBAGE / 2
