"""Every environment variable the service reads, typed and validated, and the Django
settings made of them.

`realtime` never reads the environment: it takes what stands here from Django's
settings, so that another Django project can configure it in its own way.
"""

from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from environs import Env, EnvValidationError
from environs import validate as takes

from flagsmith_sse.logging import configure_structlog, logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env(eager=False)


def seconds(name: str, default: float, *, above: float = 0, inclusive: bool) -> float:
    """A duration in seconds from the environment variable `name`."""
    bound = f"{above:g} or more" if inclusive else f"more than {above:g}"
    meaning = f"takes a number of seconds, {bound}"
    value: float = env.float(
        name,
        default,
        validate=takes.Range(min=above, min_inclusive=inclusive, error=meaning),
        error_messages={"invalid": meaning},
    )
    return value


# The real-time service

SSE_AUTHENTICATION_TOKEN: str = env.str("SSE_AUTHENTICATION_TOKEN", "").strip()
SSE_KEEPALIVE_SECONDS = seconds("SSE_KEEPALIVE_SECONDS", 15, inclusive=False)
SSE_MAX_STREAM_AGE_SECONDS = seconds("SSE_MAX_STREAM_AGE_SECONDS", 0, inclusive=True)
SSE_REJECT_DELAY_SECONDS = seconds("SSE_REJECT_DELAY_SECONDS", 2, inclusive=True)
SSE_DRAIN_SECONDS = seconds("SSE_DRAIN_SECONDS", 10, inclusive=True)
SSE_RETRY_MILLISECONDS: int = env.int(
    "SSE_RETRY_MILLISECONDS",
    3000,
    validate=takes.Range(min=1, error="takes a whole number of milliseconds from 1"),
    error_messages={"invalid": "takes a whole number of milliseconds from 1"},
)
SSE_MAX_SUBSCRIBERS: int = env.int(
    "SSE_MAX_SUBSCRIBERS",
    0,
    validate=takes.Range(min=0, error="takes a whole number; 0: what open files allow"),
    error_messages={"invalid": "takes a whole number; 0: what open files allow"},
)
SSE_STREAM_STORAGE: str = env.str(
    "SSE_STREAM_STORAGE",
    "file",
    validate=takes.OneOf(["file", "memory"], error="takes file or memory"),
)
SSE_STREAM_REPLICAS: int = env.int(
    "SSE_STREAM_REPLICAS",
    1,
    validate=takes.Range(min=1, max=5, error="takes a whole number from 1 to 5"),
    error_messages={"invalid": "takes a whole number from 1 to 5"},
)
SSE_STREAM_MAX_AGE_SECONDS = seconds(
    "SSE_STREAM_MAX_AGE_SECONDS", 3600, above=0.1, inclusive=True
)

# NATS

NATS_URL: list[str] = [
    url.strip() for url in env.str("NATS_URL", "").split(",") if url.strip()
]
NATS_CREDENTIALS_FILE: str = env.str("NATS_CREDENTIALS_FILE", "")
NATS_TLS_CA_FILE: str = env.str("NATS_TLS_CA_FILE", "")
NATS_TLS_CERT_FILE: str = env.str("NATS_TLS_CERT_FILE", "")
NATS_TLS_KEY_FILE: str = env.str("NATS_TLS_KEY_FILE", "")

# The server that `manage.py serve` runs, and where the other commands look for it

LISTEN_ADDR: str = env.str(
    "LISTEN_ADDR",
    ":8088",
    validate=takes.Regexp(
        r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):\d{1,5}$",
        error="takes HOST:PORT or :PORT, for example :8088",
    ),
)
FORWARDED_ALLOW_IPS: str = env.str("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
SSE_SERVER_BASE_URL: str = env.str(
    "SSE_SERVER_BASE_URL",
    "http://localhost:8088",
    validate=takes.Regexp(r"^https?://[^/\s]+", error="takes an http or https URL"),
)

# Logging

LOG_LEVEL: str = env.str(
    "LOG_LEVEL",
    "INFO",
    validate=takes.Regexp(
        r"(?i)^(debug|info|warning|error|critical)$",
        error="takes DEBUG, INFO, WARNING, ERROR or CRITICAL",
    ),
).upper()
LOG_FORMAT: str = env.str(
    "LOG_FORMAT",
    "generic",
    validate=takes.OneOf(["generic", "json"], error="takes generic or json"),
)

# Django

SECRET_KEY: str = env.str("DJANGO_SECRET_KEY", "") or get_random_secret_key()
ALLOWED_HOSTS: list[str] = [
    host.strip() for host in env.str("DJANGO_ALLOWED_HOSTS", "*").split(",")
]
DATABASE_URL: str = env.str("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")

try:
    env.seal()
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
except EnvValidationError as error:
    raise ImproperlyConfigured(
        "; ".join(
            f"{name}: {' '.join(reasons)}"
            for name, reasons in sorted(error.error_messages.items())
        )
    ) from None
except (dj_database_url.UnknownSchemeError, ValueError):
    # The URL itself may hold a password.
    raise ImproperlyConfigured(
        "DATABASE_URL: takes a database URL such as postgres://user:password@host/name"
    ) from None

DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["corsheaders", "django_prometheus", "realtime"]
MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware"]
ROOT_URLCONF = "flagsmith_sse.urls"
ASGI_APPLICATION = "flagsmith_sse.asgi.application"
# The SDKs and the task processor use no trailing slash, and a redirected POST is lost.
APPEND_SLASH = False

# Browsers of any site may subscribe: nothing but timestamps is sent, without
# credentials. This also governs the endpoints that bypass Django's middleware.
CORS_ALLOW_ALL_ORIGINS = True
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

# django-prometheus: `/metricsz` is served by this process, not by a port of its own.
PROMETHEUS_EXPORT_MIGRATIONS = False

configure_structlog()
LOGGING = logging_config(level=LOG_LEVEL, log_format=LOG_FORMAT)
