"""Every environment variable the service reads, typed and validated, and the Django
settings made of them.

`realtime` never reads the environment: it takes what stands here from Django's
settings, so that another Django project can configure it in its own way.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from environs import Env, EnvValidationError, ValidationError

from flagsmith_sse.admin_settings import *  # noqa: F403  all of them are settings
from flagsmith_sse.admin_settings import ADMIN_APPS, ADMIN_MIDDLEWARE
from flagsmith_sse.logging import configure_structlog, logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env(eager=False)
_takes: dict[str, str] = {}
"""What each variable takes, for the message about a senseless value."""

_T = TypeVar("_T")

MOST_SECONDS = 1_000_000_000
"""Thirty years; as nanoseconds, which is how NATS counts, still a 64-bit integer."""


def read(
    name: str,
    default: _T,
    takes: str,
    parse: Callable[..., _T],
    check: Callable[[Any], Any] | None = None,
) -> _T:
    """The environment variable `name`, read by environs' `parse`."""
    _takes[name] = takes
    value = parse(name, default, validate=check or [])
    # environs goes on with None where the value is at fault, and tells at the end.
    return default if value is None else value


def seconds(name: str, default: float, *, above: float = -1, least: float = 0) -> float:
    """A duration in seconds: `least` or more, and more than `above`."""
    bound = f"{least:g} or more" if above < 0 else f"more than {above:g}"
    return read(
        name,
        default,
        f"a number of seconds, {bound}, at most {MOST_SECONDS}",
        env.float,
        lambda value: _require(least <= value <= MOST_SECONDS and value > above),
    )


def whole(name: str, default: int, takes: str, *, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    return read(
        name, default, takes, env.int, lambda value: _require(least <= value <= most)
    )


def text(name: str, default: str, takes: str, pattern: str = "(?s:.*)") -> str:
    """A text that matches `pattern` as a whole."""
    return read(
        name,
        default,
        takes,
        env.str,
        lambda value: _require(re.fullmatch(pattern, value) is not None),
    )


def listed(name: str, default: str, takes: str, pattern: str = "[^,]+") -> list[str]:
    """Texts separated by commas, each of which matches `pattern`."""
    whole_list = rf"(\s*(({pattern})\s*)?(,|$))*"
    items = text(name, default, takes, whole_list).split(",")
    return [item.strip() for item in items if item.strip()]


def file(name: str, takes: str) -> str:
    """The path of a file that exists; empty if the variable is not set."""
    return read(
        name,
        "",
        takes,
        env.str,
        lambda value: _require(not value or Path(value).is_file()),
    )


def _require(met: bool) -> None:
    if not met:
        raise ValidationError("out of range")


# The real-time service

SSE_AUTHENTICATION_TOKEN = text(
    "SSE_AUTHENTICATION_TOKEN", "", "the secret shared with Flagsmith's task processor"
).strip()
SSE_KEEPALIVE_SECONDS = seconds("SSE_KEEPALIVE_SECONDS", 15, above=0)
SSE_MAX_STREAM_AGE_SECONDS = seconds("SSE_MAX_STREAM_AGE_SECONDS", 0)
SSE_REJECT_DELAY_SECONDS = seconds("SSE_REJECT_DELAY_SECONDS", 2)
SSE_DRAIN_SECONDS = seconds("SSE_DRAIN_SECONDS", 10)
SSE_STALL_SECONDS = seconds("SSE_STALL_SECONDS", 60, above=0)
SSE_DIRECT_WRITES = read("SSE_DIRECT_WRITES", True, "true or false", env.bool)
SSE_RETRY_MILLISECONDS = whole(
    "SSE_RETRY_MILLISECONDS",
    3000,
    "a whole number of milliseconds from 1 to 3600000",
    least=1,
    most=3_600_000,
)
SSE_MAX_SUBSCRIBERS = whole(
    "SSE_MAX_SUBSCRIBERS",
    0,
    "a whole number; 0 is as many as open files allow",
    least=0,
    most=10_000_000,
)
SSE_STREAM_STORAGE = text("SSE_STREAM_STORAGE", "file", "file or memory", "file|memory")
SSE_STREAM_REPLICAS = whole(
    "SSE_STREAM_REPLICAS", 1, "a whole number from 1 to 5", least=1, most=5
)
SSE_STREAM_MAX_AGE_SECONDS = seconds("SSE_STREAM_MAX_AGE_SECONDS", 3600, least=1)

# NATS

_PORT = r"(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
NATS_URL = listed(
    "NATS_URL",
    "",
    "nats:// or tls:// URLs separated by commas, for example "
    "nats://user:password@host:4222, with %2F for a / in the password",
    rf"((nats|tls)://)?([^\s,@/?#]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s,:@/?#]+)(:{_PORT})?",
)
NATS_CREDENTIALS_FILE = file("NATS_CREDENTIALS_FILE", "the path of a credentials file")
NATS_TLS_CA_FILE = file("NATS_TLS_CA_FILE", "the path of a PEM file that exists")
NATS_TLS_CERT_FILE = file("NATS_TLS_CERT_FILE", "the path of a PEM file that exists")
NATS_TLS_KEY_FILE = file("NATS_TLS_KEY_FILE", "the path of a PEM file that exists")

# The server that `manage.py serve` runs, and where the other commands look for it

_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):\d{1,5}"
LISTEN_ADDR = text(
    "LISTEN_ADDR", ":8088", "HOST:PORT or :PORT, for example :8088", _ADDRESS
)
METRICS_ADDR = text(
    "METRICS_ADDR", "", "HOST:PORT or :PORT, for example :9100", f"({_ADDRESS})?"
)
SSE_SERVER_BASE_URL = text(
    "SSE_SERVER_BASE_URL",
    "http://localhost:8088",
    "an http:// or https:// URL",
    r"https?://[^/\s]+\S*",
)

# Logging

LOG_LEVEL = text(
    "LOG_LEVEL",
    "INFO",
    "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    "(?i:debug|info|warning|error|critical)",
).upper()
LOG_FORMAT = text("LOG_FORMAT", "generic", "generic or json", "generic|json")

# Django

SECRET_KEY = text("DJANGO_SECRET_KEY", "", "a secret text") or get_random_secret_key()
ALLOWED_HOSTS = listed("DJANGO_ALLOWED_HOSTS", "*", "host names separated by commas")
CSRF_TRUSTED_ORIGINS = listed(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    "",
    "origins separated by commas, for example https://realtime.example.com",
    r"https?://[^\s,/]+",
)
BEHIND_TLS_PROXY = read("DJANGO_BEHIND_TLS_PROXY", False, "true or false", env.bool)
SSE_ADMIN_ENABLED = read("SSE_ADMIN_ENABLED", False, "true or false", env.bool)
DATABASE_URL = text(
    "DATABASE_URL",
    f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
    "a database URL such as postgres://user:password@host/name",
)

try:
    env.seal()
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
except EnvValidationError as error:
    raise ImproperlyConfigured(
        "; ".join(
            f"{name} takes {_takes[name]}" for name in sorted(error.error_messages)
        )
    ) from None
except (dj_database_url.UnknownSchemeError, ValueError):
    # Not the URL itself, which may hold a password.
    raise ImproperlyConfigured(f"DATABASE_URL takes {_takes['DATABASE_URL']}") from None

DEBUG = False
TIME_ZONE = "UTC"
USE_TZ = True
# `realtime` before django-prometheus: it says where a worker's metrics are kept.
INSTALLED_APPS = ["corsheaders", "realtime", "django_prometheus"]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
if SSE_ADMIN_ENABLED:
    INSTALLED_APPS += ADMIN_APPS
    MIDDLEWARE[1:-1] += ADMIN_MIDDLEWARE
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
ROOT_URLCONF = "flagsmith_sse.urls"
ASGI_APPLICATION = "flagsmith_sse.asgi.application"
# The SDKs and the task processor use no trailing slash, and a redirected POST is lost.
APPEND_SLASH = False

# Browsers of any site may subscribe: nothing but timestamps is sent, without
# credentials. This also governs the endpoints that bypass Django's middleware.
CORS_ALLOW_ALL_ORIGINS = True
CORS_URLS_REGEX = r"(?s).*"  # its default stops at a line feed
CORS_ALLOW_HEADERS = (
    "accept",
    "authorization",
    "cache-control",
    "content-type",
    "last-event-id",
    "user-agent",
    "x-csrftoken",
    "x-environment-key",
    "x-requested-with",
)

# django-prometheus asks the database for it.
PROMETHEUS_EXPORT_MIGRATIONS = False

configure_structlog()
LOGGING = logging_config(level=LOG_LEVEL, log_format=LOG_FORMAT)
