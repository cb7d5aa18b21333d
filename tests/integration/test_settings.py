"""A senseless environment variable stops every command at its start with one line that
names the variable and what it takes."""

import subprocess
import sys

import pytest

from realtime.conf import RENAMED
from tests.support.fresh import fresh_variables
from tests.support.service import ROOT

TOKEN = "s3cret-of-all"
PASSWORD = "hunter2"

COMMANDS = {
    "check": ("manage.py", "check"),
    "serve": ("manage.py", "serve"),
    "daphne": ("-m", "daphne", "-p", "0", "flagsmith_sse.asgi:application"),
}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `variables` and nothing else of the service's."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=fresh_variables(**variables),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def only_line(failed: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed said: one line, which shows no secret."""
    output = failed.stdout + failed.stderr
    assert failed.returncode != 0, output
    assert "Traceback" not in output
    assert TOKEN not in output
    assert PASSWORD not in output
    (line,) = output.splitlines()
    return line


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("check", "SSE_KEEPALIVE_SECONDS", "0"),
        ("check", "NATS_STREAM_REPLICAS", "none"),
        ("check", "NATS_URL", f"http://me:{PASSWORD}@127.0.0.1:4222"),
        ("check", "DATABASE_URL", f"postgres://me:{PASSWORD}@host:port/name"),
        ("serve", "NATS_URL", f"http://me:{PASSWORD}@127.0.0.1:4222"),
        ("daphne", "DATABASE_URL", f"oracel://me:{PASSWORD}@host/name"),
    ],
)
def test_command__senseless_value__one_line_names_the_variable(
    command: str, variable: str, value: str
) -> None:
    # Given
    variables = {"SSE_AUTHENTICATION_TOKEN": TOKEN, variable: value}
    # When
    failed = run(*COMMANDS[command], LISTEN_ADDR="127.0.0.1:0", **variables)
    # Then
    assert only_line(failed).startswith(f"error: {variable} takes ")


def test_settings__several_senseless_values__all_named() -> None:
    # Given
    variables = {"SSE_KEEPALIVE_SECONDS": "0", "LOG_LEVEL": "x", "LISTEN_ADDR": ""}
    # When
    failed = run("manage.py", "check", SSE_AUTHENTICATION_TOKEN=TOKEN, **variables)
    # Then
    line = only_line(failed)
    assert all(f"{variable} takes " in line for variable in variables)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_command__old_name_of_a_setting__one_line_names_the_new_one(
    command: str, old: str, new: str
) -> None:
    # Given
    variables = {"SSE_AUTHENTICATION_TOKEN": TOKEN, old: "1"}
    # When
    failed = run(*COMMANDS[command], LISTEN_ADDR="127.0.0.1:0", **variables)
    # Then
    assert only_line(failed).startswith(f"error: {old} is now called {new}")


@pytest.mark.parametrize("command", ["serve", "daphne"])
@pytest.mark.parametrize("token", [None, f"{TOKEN} {TOKEN}"])
def test_serve__no_usable_token__one_line_names_the_variable(
    command: str, token: str | None
) -> None:
    # Given
    variables = {} if token is None else {"SSE_AUTHENTICATION_TOKEN": token}
    # When
    failed = run(*COMMANDS[command], LISTEN_ADDR="127.0.0.1:0", **variables)
    # Then
    line = only_line(failed)
    assert "SSE_AUTHENTICATION_TOKEN" in line
    assert "takes" in line


@pytest.mark.parametrize("token", [None, f"{TOKEN} {TOKEN}"])
def test_check__no_usable_token__fails_naming_the_variable(token: str | None) -> None:
    # Given
    variables = {} if token is None else {"SSE_AUTHENTICATION_TOKEN": token}
    # When
    failed = run("manage.py", "check", **variables)
    # Then
    assert failed.returncode == 1
    assert "realtime.E001" in failed.stderr
    assert "SSE_AUTHENTICATION_TOKEN" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert TOKEN not in failed.stdout + failed.stderr


def test_serve__no_such_port__one_line_names_the_variable() -> None:
    # Given / When
    failed = run(
        "manage.py",
        "serve",
        SSE_AUTHENTICATION_TOKEN=TOKEN,
        LISTEN_ADDR="127.0.0.1:65536",
    )
    # Then
    assert "LISTEN_ADDR" in only_line(failed)
