"""Every environment variable the service reads, typed and validated, and the Django
settings made of them.

`realtime` never reads the environment: it takes what stands here from Django's
settings, so that another Django project can configure it in its own way.
"""

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from environs import Env, EnvValidationError, ValidationError

from flagsmith_sse.admin_settings import *  # noqa: F403  all of them are settings
from flagsmith_sse.admin_settings import ADMIN_APPS, ADMIN_MIDDLEWARE
from flagsmith_sse.logging import configure_structlog, logging_config
from realtime.conf import renamed_faults

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env(eager=False)


class Variable(NamedTuple):
    """An environment variable: its default, and what it takes in words. What it is for
    stands below the setting that is made of it."""

    default: object
    takes: str


variables: dict[str, Variable] = {}
"""Every variable that is read, for the message about a senseless value and for the
table in docs/deployment.md."""

_T = TypeVar("_T")

DATABASE_CONNECT_SECONDS = 5
"""The admin's pages say that its database is out of reach before a proxy gives up; the
driver's own limit is that of TCP, two minutes."""

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
    variables[name] = Variable(default, takes)
    value = parse(name, default, validate=check or [])
    # environs goes on with None where the value is at fault, and tells at the end.
    return default if value is None else value


def seconds(name: str, default: float, *, above: float = -1, least: float = 0) -> float:
    """A duration in seconds: `least` or more, and more than `above`."""
    bound = f"{least:g} or more" if above < 0 else f"more than {above:g}"
    return read(
        name,
        default,
        f"a number of seconds, {bound}",
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


def listed(
    name: str,
    default: str,
    takes: str,
    pattern: str = "[^,]+",
    check: Callable[[str], object] = str,
) -> list[str]:
    """Texts separated by commas, each of which matches `pattern`; `check` raises
    `ValueError` for one that will not do."""
    whole_list = rf"(\s*(({pattern})\s*)?(,|$))*"

    def require(value: str) -> None:
        _require(re.fullmatch(whole_list, value) is not None)
        for item in _items(value):
            try:
                check(item)
            except ValueError:
                _require(False)

    return _items(read(name, default, takes, env.str, require))


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


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
    "SSE_AUTHENTICATION_TOKEN",
    "",
    "the secret shared with Flagsmith's task processor, or the new and the old one "
    "separated by a comma",
).strip()
"""The secret shared with Flagsmith's task processor. Required. Two while it is being
[rotated](security.md#rotating-the-token)."""
SSE_KEEPALIVE_SECONDS = seconds("SSE_KEEPALIVE_SECONDS", 15, above=0)
"""How long a stream may be quiet before a comment is sent."""
SSE_MAX_STREAM_AGE_SECONDS = seconds("SSE_MAX_STREAM_AGE_SECONDS", 0)
"""How long a stream may last, give or take half; 0: no limit."""
SSE_REJECT_DELAY_SECONDS = seconds("SSE_REJECT_DELAY_SECONDS", 2)
"""How long a stream that cannot be served is held before its 503, give or take half."""
SSE_DRAIN_SECONDS = seconds("SSE_DRAIN_SECONDS", 10)
"""Over how long the streams are ended on shutdown."""
SSE_STALL_SECONDS = seconds("SSE_STALL_SECONDS", 60, above=0)
"""After how long a client that is there and reads nothing is dropped."""
SSE_VANISHED_SECONDS = seconds("SSE_VANISHED_SECONDS", 900, least=1)
"""After how long a client is dropped whose network is gone; until then it gets
everything when it is back."""
SSE_BACKLOG_MEGABYTES = whole(
    "SSE_BACKLOG_MEGABYTES",
    256,
    "a whole number of megabytes from 1 to 1000000",
    least=1,
    most=1_000_000,
)
"""What the kernel may keep for the clients of a process that do not read or have
vanished; beyond it those that have been silent longest are dropped."""
SSE_DIRECT_WRITES = read("SSE_DIRECT_WRITES", True, "true or false", env.bool)
"""Whether `serve` writes updates straight to the connections; `false` is slower, for
comparison."""
SSE_RETRY_MILLISECONDS = whole(
    "SSE_RETRY_MILLISECONDS",
    3000,
    "a whole number of milliseconds from 1 to 3600000",
    least=1,
    most=3_600_000,
)
"""What clients are told to wait before they reconnect, give or take half."""
SSE_MAX_SUBSCRIBERS = whole(
    "SSE_MAX_SUBSCRIBERS",
    0,
    "a whole number; 0 is as many as open files allow",
    least=0,
    most=10_000_000,
)
"""How many streams a process takes."""
SSE_ACCEPT_WITHOUT_NATS = read(
    "SSE_ACCEPT_WITHOUT_NATS", True, "true or false", env.bool
)
"""Whether a publish is answered with 202 once NATS has been away for some seconds and
the update is [kept until it is back](architecture.md#while-nats-is-away); `false`: it
is kept all the same, and answered with 503."""
SSE_OUTBOX_ENVIRONMENTS = whole(
    "SSE_OUTBOX_ENVIRONMENTS",
    10_000,
    "a whole number from 1 to 1000000",
    least=1,
    most=1_000_000,
)
"""For how many environments a process keeps the newest update while NATS is away: some
300 bytes each. Beyond that, the update that has waited longest is dropped."""
SSE_OUTBOX_FOLDER = text("SSE_OUTBOX_FOLDER", "", "the path of a folder, or nothing")
"""Where updates that wait for NATS are kept on disk, too; not set: in memory only."""
SSE_EXPECTED_INSTANCES = whole(
    "SSE_EXPECTED_INSTANCES",
    0,
    "a whole number from 1 to 10000; 0 is not known",
    least=0,
    most=10_000,
)
"""How many hosts, or pods, should answer, the workers of one counting once: the health
overview says so when there are fewer, and an instance that died is not missed when
there are enough."""
SSE_CANARY_SECONDS = read(
    "SSE_CANARY_SECONDS",
    0.0,
    "a number of seconds from 1 to 300; 0 is never",
    env.float,
    lambda value: _require(value == 0 or 1 <= value <= 300),
)
"""How often each process [probes itself](operations.md#the-canary), give or take half:
it opens a stream and publishes an update of its own."""

# NATS

_PORT = r"(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
NATS_URL = listed(
    "NATS_URL",
    "",
    "nats:// or tls:// URLs separated by commas, for example "
    "nats://user:password@host:4222, with %2F for a / in the password",
    rf"((nats|tls)://)?([^\s,@/?#]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s,:@/?#]+)(:{_PORT})?",
)
"""Where NATS is; not set: `nats://localhost:4222`. Several servers of one cluster, or
one; a name with several addresses is as many servers."""
NATS_CREDENTIALS_FILE = file("NATS_CREDENTIALS_FILE", "the path of a credentials file")
"""NATS credentials (`.creds`)."""
NATS_TLS_CA_FILE = file("NATS_TLS_CA_FILE", "the path of a PEM file that exists")
"""The authority that signed NATS's certificate; not set: the system's."""
NATS_TLS_CERT_FILE = file("NATS_TLS_CERT_FILE", "the path of a PEM file that exists")
"""Our certificate, where NATS demands one."""
NATS_TLS_KEY_FILE = file("NATS_TLS_KEY_FILE", "the path of a PEM file that exists")
"""The key of our certificate."""

NATS_STREAM_STORAGE = text(
    "NATS_STREAM_STORAGE", "file", "file or memory", "file|memory"
)
"""JetStream's storage."""
NATS_STREAM_REPLICAS = whole(
    "NATS_STREAM_REPLICAS", 1, "a whole number from 1 to 5", least=1, most=5
)
"""Copies of the stream in a NATS cluster."""
NATS_STREAM_MAX_AGE_SECONDS = seconds("NATS_STREAM_MAX_AGE_SECONDS", 3600, least=1)
"""How long the latest update is kept for those who connect later."""
NATS_STREAM_MAX_BYTES = whole(
    "NATS_STREAM_MAX_BYTES",
    0,
    "a whole number of bytes; 0 is no limit",
    least=0,
    most=2**63 - 1,
)
"""How large the stream may become, where NATS demands a limit: beyond it the oldest
updates are dropped. An update takes some 200 bytes, and each environment keeps one."""

# The pages of the service itself

SSE_INDEX_ENABLED = read("SSE_INDEX_ENABLED", True, "true or false", env.bool)
"""Whether `/` says what this is and whether it is ready, with an icon, and a browser
gets a page where nothing is found; `false`: nothing says what is here."""

# The server that `manage.py serve` runs, and where the other commands look for it

SSE_WORKERS = text(
    "SSE_WORKERS",
    "0",
    "a whole number up to 1024, or auto",
    r"auto|0|[1-9]\d{0,2}|10[01]\d|102[0-4]",
)
"""How many processes `serve` runs on the port, with a supervisor that replaces those
that die or hang, and all of them on SIGHUP; `auto`: one for each processor it may use;
`0`: none, it serves from its own process."""
_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):\d{1,5}"
LISTEN_ADDR = text(
    "LISTEN_ADDR", ":8088", "HOST:PORT or :PORT, for example :8088", _ADDRESS
)
"""Where `serve` listens; without a host, on all interfaces."""
METRICS_ADDR = text(
    "METRICS_ADDR", "", "HOST:PORT or :PORT, for example :9100", f"({_ADDRESS})?"
)
"""Where `/metricsz` is served instead of on the public port."""
SSE_SERVER_BASE_URL = text(
    "SSE_SERVER_BASE_URL",
    "http://localhost:8088",
    "an http:// or https:// URL",
    r"https?://[^/\s]+\S*",
)
"""Where the commands that are clients find the service."""
SSE_PUBLIC_URLS = listed(
    "SSE_PUBLIC_URLS",
    "",
    "http:// or https:// URLs separated by commas",
    r"https?://[^/\s,]+[^\s,]*",
)
"""Where clients reach the service, for [probes](admin.md#probe) from the admin: they
send the secret to these addresses, besides `SSE_SERVER_BASE_URL` and the page's own if
that is certain to be the service's."""

# Logging

LOG_LEVEL = text(
    "LOG_LEVEL",
    "INFO",
    "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    "(?i:debug|info|warning|error|critical)",
).upper()
"""The least level that is logged."""
LOG_FORMAT = text("LOG_FORMAT", "generic", "generic or json", "generic|json")
"""`generic` is for people, `json` for machines."""

# Django

SECRET_KEY = text("DJANGO_SECRET_KEY", "", "a secret text") or get_random_secret_key()
"""Django's; not set: random at each start."""
ALLOWED_HOSTS = listed("DJANGO_ALLOWED_HOSTS", "*", "host names separated by commas")
"""Django's; the real-time endpoints answer to any name."""
FORWARDED_ALLOW_IPS = listed(
    "FORWARDED_ALLOW_IPS",
    "127.0.0.1,::1",
    "IP addresses or networks separated by commas, or *",
    check=lambda item: item == "*" or ip_network(item),
)
"""Whose `X-Forwarded-…` headers count: for what Django serves, and to say where a
refused publish came from."""
CSRF_TRUSTED_ORIGINS = listed(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    "",
    "origins separated by commas, for example https://realtime.example.com",
    r"https?://[^\s,/]+",
)
"""Django's; where the admin is reached under another name than it sees."""
SSE_ADMIN_ENABLED = read("SSE_ADMIN_ENABLED", False, "true or false", env.bool)
"""Whether the admin is served, with the health of all instances."""
DATABASE_URL = text(
    "DATABASE_URL",
    f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
    "a database URL such as postgres://user:password@host/name",
)
"""Django's, for the admin: the real-time endpoints use no database. The default is a
file beside the code, wherever that is installed."""

if renamed := renamed_faults(os.environ.__contains__):
    raise ImproperlyConfigured("; ".join(renamed))
try:
    env.seal()
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
    if "postgresql" in DATABASES["default"].get("ENGINE", ""):
        options = DATABASES["default"].setdefault("OPTIONS", {})
        options.setdefault("connect_timeout", DATABASE_CONNECT_SECONDS)
except EnvValidationError as error:
    raise ImproperlyConfigured(
        "; ".join(
            f"{name} takes {variables[name].takes}"
            for name in sorted(error.error_messages)
        )
    ) from None
except (dj_database_url.UnknownSchemeError, ValueError):
    # Not the URL itself, which may hold a password.
    takes = variables["DATABASE_URL"].takes
    raise ImproperlyConfigured(f"DATABASE_URL takes {takes}") from None

DEBUG = False
TIME_ZONE = "UTC"
USE_TZ = True
# `realtime` before django-prometheus: it says where a worker's metrics are kept.
# Of two commands with one name, as `serve`, the first app has the one that counts.
INSTALLED_APPS = ["flagsmith_sse", "corsheaders", "realtime", "django_prometheus"]
MIDDLEWARE = [
    "flagsmith_sse.forwarded.ForwardedMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
if SSE_ADMIN_ENABLED:
    INSTALLED_APPS += ADMIN_APPS
    MIDDLEWARE[1:-1] += ADMIN_MIDDLEWARE
# Of what `check --deploy` recommends: without the admin no page has a session or a
# form; with it HTTPS is up to the proxy, by whose word `ForwardedMiddleware` secures
# cookies.
SILENCED_SYSTEM_CHECKS = [
    f"security.W{number:03}" for number in (1, 2, 3, 4, 8, 12, 16)
]
ROOT_URLCONF = "flagsmith_sse.urls"
ASGI_APPLICATION = "flagsmith_sse.asgi.application"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
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
