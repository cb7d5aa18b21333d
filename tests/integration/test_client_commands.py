"""How the commands that are clients end: by Ctrl-C, by a reader that leaves, by NATS
that is out of reach."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realtime.management.client_command import BROKEN_PIPE, INTERRUPTED
from realtime.server.embedded_nats import EmbeddedNats
from tests.integration.test_commands import ctrl_c, manage, running, variables
from tests.support.service import ROOT
from tests.support.waiting import eventually

UNREACHABLE = {"NATS_URL": "nats://somebody:s3cret@127.0.0.1:1"}

BLOCKED = """
import threading
from realtime.management.client_command import ClientCommand

class Command(ClientCommand):
    def handle(self, **options):
        print("began", flush=True)
        threading.Event().wait()

from django.conf import settings
settings.configure()
Command().run_from_argv(["manage.py", "blocked"])
"""

WITH_A_RESOLVER_THAT_HANGS = """
import socket, sys, threading

def hang(*arguments, **more):
    print("asked", file=sys.stderr, flush=True)
    threading.Event().wait()

socket.getaddrinfo = hang
from flagsmith_sse.__main__ import main
main()
"""


@contextmanager
def read(*command: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`command` with pipes that a test reads."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=variables({**UNREACHABLE, **more}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_fleet_watch__reader_leaves_its_pipe__ends_without_a_word() -> None:
    # Given
    with read("manage.py", "fleet", "--watch") as fleet:
        assert fleet.stdout is not None
        assert fleet.stderr is not None
        assert fleet.stdout.readline() == b"Down\n"

        # When
        fleet.stdout.close()

        # Then
        assert fleet.wait(20) == BROKEN_PIPE
        assert fleet.stderr.read() == b""


def test_fleet_watch__ctrl_c__ends_as_it_should(tmp_path: Path) -> None:
    # Given
    log = tmp_path / "log"
    with running("fleet", "--watch", environment=UNREACHABLE, output=log) as fleet:
        eventually(lambda: "Down" in log.read_text(), what="a report")

        # When
        code = ctrl_c(fleet)

        # Then
        assert code == 0
        assert "Traceback" not in log.read_text()


def test_client_command__ctrl_c__ends_without_a_word() -> None:
    # Given
    with read("-c", BLOCKED) as blocked:
        assert blocked.stdout is not None
        assert blocked.stderr is not None
        assert blocked.stdout.readline() == b"began\n"

        # When
        os.killpg(blocked.pid, signal.SIGINT)

        # Then
        assert blocked.wait(10) == INTERRUPTED
        assert blocked.stderr.read() == b""


def test_fleet__resolver_hangs__tells_and_ends_all_the_same() -> None:
    # Given
    with read(
        "-c", WITH_A_RESOLVER_THAT_HANGS, "fleet", NATS_URL="nats://nats.example:4222"
    ) as fleet:
        # When
        output, _ = fleet.communicate(timeout=20)

    # Then
    assert b"nobody says what address nats.example has" in output
    assert fleet.returncode == 2


def test_fleet__resolver_hangs__ctrl_c_ends_it() -> None:
    # Given
    with read(
        *("-c", WITH_A_RESOLVER_THAT_HANGS, "fleet", "--watch"),
        NATS_URL="nats://nats.example:4222",
    ) as fleet:
        assert fleet.stderr is not None
        assert fleet.stderr.readline() == b"asked\n"

        # When
        os.killpg(fleet.pid, signal.SIGINT)

        # Then
        assert fleet.wait(20) == 0


def test_fleet__no_token__tells_all_the_same(shared_nats: EmbeddedNats) -> None:
    # When
    done = manage("fleet", environment={"NATS_URL": shared_nats.url})

    # Then: nobody serves on this NATS, or others' tests do
    assert done.stderr == ""
    assert "INSTANCE" in done.stdout
