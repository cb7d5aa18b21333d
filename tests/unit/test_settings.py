"""The environment variables: what they are read as, and that a senseless value stops
the service at its start with one line that names the variable and what it takes."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from realtime.checks import renamed_settings
from realtime.conf import RENAMED, RealtimeSettings
from realtime.tokens import token_fault
from tests.support.service import ROOT

TOKEN = "s3cret-of-all"
PASSWORD = "hunter2"
SECONDS = "a number of seconds"
FILE = "the path of a"

SENSELESS: list[tuple[str, str, str]] = [
    # variable, value, how what it takes is said
    *(("SSE_KEEPALIVE_SECONDS", value, SECONDS) for value in ["0", "-1", "soon"]),
    *(("SSE_KEEPALIVE_SECONDS", value, SECONDS) for value in ["nan", "inf", "1e400"]),
    *(("SSE_CANARY_SECONDS", value, SECONDS) for value in ["0.5", "301", "nan"]),
    ("SSE_MAX_STREAM_AGE_SECONDS", "-0.1", SECONDS),
    ("SSE_MAX_STREAM_AGE_SECONDS", "1h", SECONDS),
    ("SSE_REJECT_DELAY_SECONDS", "-1", SECONDS),
    ("SSE_DRAIN_SECONDS", "-1", SECONDS),
    ("NATS_STREAM_MAX_AGE_SECONDS", "0", SECONDS),
    # JetStream counts nanoseconds in 64 bits.
    ("NATS_STREAM_MAX_AGE_SECONDS", "1e10", SECONDS),
    ("SSE_RETRY_MILLISECONDS", "0", "a whole number of milliseconds"),
    ("SSE_RETRY_MILLISECONDS", "2.5", "a whole number of milliseconds"),
    ("SSE_MAX_SUBSCRIBERS", "-1", "a whole number"),
    ("SSE_MAX_SUBSCRIBERS", "many", "a whole number"),
    ("NATS_STREAM_STORAGE", "disk", "file or memory"),
    ("NATS_STREAM_REPLICAS", "0", "a whole number from 1 to 5"),
    ("NATS_STREAM_REPLICAS", "6", "a whole number from 1 to 5"),
    ("NATS_STREAM_MAX_BYTES", "1M", "a whole number of bytes"),
    ("NATS_STREAM_MAX_BYTES", "9223372036854775808", "a whole number of bytes"),
    ("NATS_URL", "http://127.0.0.1:4222", "nats://"),
    ("NATS_URL", "nats://127.0.0.1 4222", "nats://"),
    ("NATS_URL", "nats://127.0.0.1:4222,ftp://127.0.0.1", "nats://"),
    ("NATS_URL", f"nats://me:{PASSWORD}@127.0.0.1:99999", "nats://"),
    ("NATS_URL", f"nats://me:{PASSWORD}@127.0.0.1:port", "nats://"),
    # Not percent-encoded: the password ends the host.
    ("NATS_URL", f"nats://me:{PASSWORD}/{PASSWORD}@127.0.0.1:4222", "nats://"),
    ("NATS_CREDENTIALS_FILE", "/no/such/file", FILE),
    ("NATS_TLS_CA_FILE", "/no/such/file", FILE),
    ("NATS_TLS_CERT_FILE", "/no/such/file", FILE),
    ("NATS_TLS_KEY_FILE", "/", FILE),
    ("SSE_ADMIN_ENABLED", "maybe", "true or false"),
    ("DJANGO_CSRF_TRUSTED_ORIGINS", "realtime.example.com", "origins separated by"),
    ("DJANGO_CSRF_TRUSTED_ORIGINS", "https://a.example/admin", "origins separated by"),
    ("SSE_WORKERS", "-1", "a whole number up to 1024, or auto"),
    ("SSE_WORKERS", "1025", "a whole number up to 1024, or auto"),
    ("LISTEN_ADDR", "8088", "HOST:PORT or :PORT"),
    ("LISTEN_ADDR", "localhost", "HOST:PORT or :PORT"),
    ("LISTEN_ADDR", "::1:8088", "HOST:PORT or :PORT"),
    ("LISTEN_ADDR", "localhost:http", "HOST:PORT or :PORT"),
    ("SSE_SERVER_BASE_URL", "localhost:8088", "an http:// or https:// URL"),
    ("SSE_PUBLIC_URLS", "realtime.example.com", "http:// or https:// URLs"),
    ("METRICS_ADDR", "9100", "HOST:PORT or :PORT"),
    ("FORWARDED_ALLOW_IPS", "127.0.0.1,proxy", "IP addresses or networks"),
    ("FORWARDED_ALLOW_IPS", "10.0.0.1/8", "IP addresses or networks"),
    ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ("LOG_FORMAT", "xml", "generic or json"),
    ("DATABASE_URL", "nonsense", "a database URL such as"),
    ("DATABASE_URL", f"postgres://me:{PASSWORD}@host:port/name", "a database URL"),
    ("DATABASE_URL", f"oracel://me:{PASSWORD}@host/name", "a database URL"),
]

SENSIBLE = {
    "SSE_AUTHENTICATION_TOKEN": f" {TOKEN}\n",  # as a mounted secret often ends
    "SSE_KEEPALIVE_SECONDS": "0.5",
    "SSE_MAX_STREAM_AGE_SECONDS": "0",
    "SSE_REJECT_DELAY_SECONDS": "0",
    "SSE_DRAIN_SECONDS": "25",
    "NATS_STREAM_MAX_AGE_SECONDS": "86400",
    "SSE_RETRY_MILLISECONDS": "1",
    "SSE_MAX_SUBSCRIBERS": "20000",
    "NATS_STREAM_STORAGE": "memory",
    "NATS_STREAM_REPLICAS": "3",
    "NATS_STREAM_MAX_BYTES": "1048576",
    "NATS_URL": f"nats://me:{PASSWORD}@one:4222, tls://token@two , three:4222,",
    "SSE_WORKERS": "auto",
    "LISTEN_ADDR": "[::1]:0",
    "SSE_SERVER_BASE_URL": "https://realtime.example.com/",
    "LOG_LEVEL": "debug",
    "LOG_FORMAT": "json",
    "DATABASE_URL": f"postgres://me:{PASSWORD}@host:5432/name",
    "DJANGO_ALLOWED_HOSTS": "one.example.com, two.example.com",
}

COMMANDS = {
    "check": ("manage.py", "check"),
    "serve": ("manage.py", "serve"),
    "daphne": ("-m", "daphne", "-p", "0", "flagsmith_sse.asgi:application"),
}

DUMP = (
    "import json, sys; from flagsmith_sse import settings;"
    "json.dump({n: getattr(settings, n) for n in sys.argv[1:]}, sys.stdout)"
)


def bare_environment() -> dict[str, str]:
    """This process's environment without the service's variables."""
    prefixes = ("SSE_", "NATS_", "DJANGO_", "LOG_", "LISTEN_", "DATABASE_")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `variables` and nothing else of the service's."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**bare_environment(), **variables},
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


@pytest.mark.parametrize(("variable", "value", "takes"), SENSELESS)
def test_settings__senseless_value__says_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, takes: str
) -> None:
    # Given
    variables = {"SSE_AUTHENTICATION_TOKEN": TOKEN, variable: value}
    monkeypatch.setattr(os, "environ", {**bare_environment(), **variables})
    # When
    with pytest.raises(ImproperlyConfigured) as raised:
        runpy.run_path(str(ROOT / "flagsmith_sse" / "settings.py"))
    # Then
    message = str(raised.value)
    assert message.startswith(f"{variable} takes {takes}")
    assert "\n" not in message
    assert PASSWORD not in message


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
    assert "takes a number of seconds, more than 0, not '0'" in line


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("old", "new"), [*RENAMED.items()][:1])
def test_command__old_name_of_a_setting__one_line_names_the_new_one(
    command: str, old: str, new: str
) -> None:
    # Given
    variables = {"SSE_AUTHENTICATION_TOKEN": TOKEN, old: "1"}
    # When
    failed = run(*COMMANDS[command], LISTEN_ADDR="127.0.0.1:0", **variables)
    # Then
    assert only_line(failed).startswith(f"error: {old} is now called {new}")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_checks__old_name_in_a_host_project__error_names_the_new_one(
    settings: Settings, old: str, new: str
) -> None:
    # Given
    setattr(settings, old, 3)
    # When
    errors = renamed_settings(None)
    # Then
    assert [error.id for error in errors] == ["realtime.E002"]
    assert f"{old} is now called {new}" in errors[0].msg
    with pytest.raises(ImproperlyConfigured, match=new):
        RealtimeSettings.from_django(hosting=False)


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


def test_settings__sensible_values__read_typed(tmp_path: Path) -> None:
    # Given
    pem = tmp_path / "file.pem"
    pem.touch()
    expected = {
        "SSE_AUTHENTICATION_TOKEN": TOKEN,
        "SSE_KEEPALIVE_SECONDS": 0.5,
        "SSE_MAX_STREAM_AGE_SECONDS": 0.0,
        "SSE_REJECT_DELAY_SECONDS": 0.0,
        "SSE_DRAIN_SECONDS": 25.0,
        "NATS_STREAM_MAX_AGE_SECONDS": 86400.0,
        "SSE_RETRY_MILLISECONDS": 1,
        "SSE_MAX_SUBSCRIBERS": 20000,
        "NATS_STREAM_STORAGE": "memory",
        "NATS_STREAM_REPLICAS": 3,
        "NATS_STREAM_MAX_BYTES": 1048576,
        "NATS_URL": [f"nats://me:{PASSWORD}@one:4222", "tls://token@two", "three:4222"],
        "NATS_TLS_CA_FILE": str(pem),
        "SSE_WORKERS": "auto",
        "LISTEN_ADDR": "[::1]:0",
        "SSE_SERVER_BASE_URL": "https://realtime.example.com/",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "ALLOWED_HOSTS": ["one.example.com", "two.example.com"],
    }
    # When
    dumped = run("-c", DUMP, *expected, NATS_TLS_CA_FILE=str(pem), **SENSIBLE)
    # Then
    assert dumped.stderr == ""
    assert json.loads(dumped.stdout) == expected


def test_settings__nothing_set__documented_defaults() -> None:
    # Given
    expected = {
        "SSE_KEEPALIVE_SECONDS": 15,
        "SSE_MAX_STREAM_AGE_SECONDS": 0,
        "SSE_REJECT_DELAY_SECONDS": 2,
        "SSE_RETRY_MILLISECONDS": 3000,
        "NATS_STREAM_STORAGE": "file",
        "NATS_STREAM_REPLICAS": 1,
        "NATS_STREAM_MAX_AGE_SECONDS": 3600,
        "NATS_STREAM_MAX_BYTES": 0,
        "LISTEN_ADDR": ":8088",
        "NATS_URL": [],
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "generic",
        "DEBUG": False,
        "CORS_ALLOW_ALL_ORIGINS": True,
        "SSE_ADMIN_ENABLED": False,
        "INSTALLED_APPS": [
            "corsheaders",
            "realtime",
            "django_prometheus",
            "flagsmith_sse",
        ],
        "CSRF_TRUSTED_ORIGINS": [],
    }
    # When
    dumped = run("-c", DUMP, *expected)
    # Then
    assert dumped.stderr == ""
    assert json.loads(dumped.stdout) == expected


@pytest.mark.parametrize("token", ["x", TOKEN, "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"])
def test_token_fault__printable_ascii__none(token: str) -> None:
    # Given / When / Then
    assert token_fault(token) is None


@pytest.mark.parametrize("token", ["", "a b", "a\tb", "a\nb", "\0", "\x7f", "t\xf6ken"])
def test_token_fault__cannot_be_sent__reason_without_the_token(token: str) -> None:
    # Given / When
    fault = token_fault(token)
    # Then
    assert fault is not None
    assert not token or token not in fault


def test_realtime_settings__from_django__secrets_not_in_repr(
    settings: Settings,
) -> None:
    # Given
    settings.SSE_AUTHENTICATION_TOKEN = TOKEN
    settings.NATS_URL = [f"nats://me:{PASSWORD}@host"]
    settings.SSE_KEEPALIVE_SECONDS = 7.5
    settings.SSE_MAX_SUBSCRIBERS = 12
    # When
    read = RealtimeSettings.from_django()
    # Then
    assert read.authentication_tokens == (TOKEN,)
    assert read.nats_servers == (f"nats://me:{PASSWORD}@host",)
    assert (read.keepalive, read.max_subscribers) == (7.5, 12)
    assert TOKEN not in repr(read) + str(read)
    assert PASSWORD not in repr(read) + str(read)


def test_realtime_settings__nothing_set__defaults_that_work(
    settings: Settings,
) -> None:
    # Given
    settings.SSE_AUTHENTICATION_TOKEN = TOKEN
    settings.NATS_URL = []
    settings.SSE_MAX_SUBSCRIBERS = 0
    # When
    read = RealtimeSettings.from_django()
    # Then
    assert read.nats_servers == ("nats://localhost:4222",)
    assert read.max_subscribers > 0


def test_realtime_settings__no_token__improperly_configured(
    settings: Settings,
) -> None:
    # Given
    settings.SSE_AUTHENTICATION_TOKEN = ""
    # When / Then
    with pytest.raises(ImproperlyConfigured, match=r"^SSE_AUTHENTICATION_TOKEN is"):
        RealtimeSettings.from_django()
