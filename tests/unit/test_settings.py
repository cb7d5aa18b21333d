"""The environment variables: what they are read as, and what is said of a senseless
value."""

import os
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from realtime.checks import renamed_settings
from realtime.conf import RENAMED, RealtimeSettings
from realtime.tokens import token_fault
from tests.support.fresh import fresh_variables
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


def settings_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """The settings that `variables`, and nothing else of the service's, make."""
    monkeypatch.setattr(os, "environ", fresh_variables(**variables))
    return runpy.run_path(str(ROOT / "flagsmith_sse" / "settings.py"))


@pytest.mark.parametrize(("variable", "value", "takes"), SENSELESS)
def test_settings__senseless_value__says_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, takes: str
) -> None:
    # Given
    variables = {"SSE_AUTHENTICATION_TOKEN": TOKEN, variable: value}
    # When
    with pytest.raises(ImproperlyConfigured) as raised:
        settings_of(monkeypatch, **variables)
    # Then
    message = str(raised.value)
    assert message.startswith(f"{variable} takes {takes}")
    assert "\n" not in message
    assert PASSWORD not in message


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


def test_settings__sensible_values__read_typed(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
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
    read = settings_of(monkeypatch, NATS_TLS_CA_FILE=str(pem), **SENSIBLE)
    # Then
    assert capfd.readouterr().err == ""
    assert {name: read[name] for name in expected} == expected


def test_settings__nothing_set__documented_defaults(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
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
    read = settings_of(monkeypatch)
    # Then
    assert capfd.readouterr().err == ""
    assert {name: read[name] for name in expected} == expected


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


def test_from_django__nats_url_is_none__as_if_it_were_not_set(
    settings: Settings,
) -> None:
    # Given: as of `os.environ.get("NATS_URL")` in another project's settings
    settings.NATS_URL = None

    # When
    read = RealtimeSettings.from_django(hosting=False)

    # Then
    assert read.nats_servers == ("nats://localhost:4222",)
