"""The README as a new user walks it: a clean copy, nothing installed, and the commands
as they are printed."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.proxies import free_port
from tests.support.fresh import INSTALL_SECONDS, fresh_copy, fresh_variables
from tests.support.pasting import paste, pasted_stream, printed_lines
from tests.support.processes import working_in
from tests.support.waiting import eventually

COMMANDS = ("make run", "make test")
"""What the README begins with."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_copy(tmp_path_factory.mktemp("clone"))


@contextmanager
def in_a_terminal(command: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`command` in `folder`, its output in `folder/output`, on a port of its own; in a
    group of processes, to which Ctrl-C goes."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env=fresh_variables(LISTEN_ADDR=f"127.0.0.1:{free_port()}"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_first_command__clean_copy__the_printed_lines_work_and_ctrl_c_ends_it(
    clone: Path,
) -> None:
    # When
    with in_a_terminal(COMMANDS[0], clone) as make:
        output = clone / "output"

        def ready() -> bool:
            assert make.poll() is None, output.read_text()
            return "nats.connected" in output.read_text()

        eventually(ready, seconds=INSTALL_SECONDS, what="make run")
        stream, publish, ask, *commands = printed_lines(output.read_text())

        # Then
        with pasted_stream(stream) as curl:
            assert curl.stdout is not None
            published = paste([publish])
            received = [curl.stdout.readline() for _ in range(2)]
            answer = paste([ask])
            told = paste(commands)

            # When
            os.killpg(make.pid, signal.SIGINT)
            make.wait(20)
            ended = curl.wait(10)

        # Then
        assert "202 Accepted" in published
        assert received[0] == b"event: environment_updated\n"
        assert received[1].startswith(b'data: {"updated_at":')
        assert '"ok"' in answer
        assert told.startswith("All well")
        assert " · received at localhost:" in told
        assert ended == 0
    text = output.read_text()
    assert text.startswith(
        "Installing the packages into .venv, a minute or so…\n\nReal"
    )
    assert "server.stopped" in text
    assert "Traceback" not in text
    eventually(lambda: not working_in(clone), what="the end of all its processes")


def test_first_command__packages_out_of_reach__pip_says_all_of_it(
    tmp_path: Path,
) -> None:
    # Given
    folder = fresh_copy(tmp_path)

    # When
    done = subprocess.run(
        ["make", "run"],
        cwd=folder,
        env=fresh_variables(PIP_INDEX_URL="http://127.0.0.1:1/", PIP_RETRIES="0"),
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )

    # Then
    assert done.returncode != 0
    assert "Installing the packages" in done.stdout
    assert "No matching distribution found" in done.stderr
    assert not list((folder / ".venv").glob("*.done"))


def test_second_command__clean_copy__its_quick_part_passes(clone: Path) -> None:
    # Given: all that it does
    plan = subprocess.run(
        [*COMMANDS[1].split(), "--dry-run"],
        cwd=clone,
        env=fresh_variables(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for step in ("ruff check", "ruff format --check", "mypy", "pytest tests/unit"):
        assert step in plan
    assert "tests/integration" in plan

    # When: some of the tests of modules, with everything that the tests need
    done = subprocess.run(
        ["make", "unit"],
        cwd=clone,
        env=fresh_variables(PYTEST_ADDOPTS="-k 'hub or updates'"),
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )

    # Then
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"\d\d+ passed", done.stdout)
