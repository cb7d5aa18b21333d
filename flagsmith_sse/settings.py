"""Django's settings, of which the environment decides those that are declared here and
in `realtime.conf`.

`realtime` never reads the environment: it takes what stands here from Django's
settings, so that another Django project can configure it in its own way.
"""

import os
import re
from ipaddress import ip_network
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from flagsmith_sse.admin_settings import *  # noqa: F403  all of them are settings
from flagsmith_sse.admin_settings import ADMIN_APPS, ADMIN_MIDDLEWARE
from flagsmith_sse.environment import Environment
from flagsmith_sse.logging import configure_structlog, logging_config
from realtime import conf
from realtime.server import settings as server_settings
from realtime.setting import Setting, boolean, choice, listed, text

BASE_DIR = Path(__file__).resolve().parent.parent

DATABASE_CONNECT_SECONDS = 5
"""The admin's pages say that its database is out of reach before a proxy gives up; the
driver's own limit is that of TCP, two minutes."""


def database(url: str) -> dj_database_url.DBConfig:
    """The database at `url`, as Django's settings have it. Raises `ValueError`."""
    found = dj_database_url.parse(url)
    if "postgresql" in found["ENGINE"]:
        options = found.setdefault("OPTIONS", {})
        options.setdefault("connect_timeout", DATABASE_CONNECT_SECONDS)
    return found


if renamed := conf.renamed_faults(os.environ.__contains__):
    raise ImproperlyConfigured("; ".join(renamed))
environment = Environment(os.environ)
read = environment.read

# The real-time service and NATS

vars().update(environment.read_all(conf.SETTINGS))

# The pages of the service itself

SSE_INDEX_ENABLED = read(
    boolean("SSE_INDEX_ENABLED", "true"),
    "Whether `/` says what this is and whether it is ready, with an icon, and a "
    "browser gets a page where nothing is found; `false`: nothing says what is here.",
)

# The server that `manage.py serve` runs, and where others find it

vars().update(environment.read_all(server_settings.SETTINGS))

# Logging

LOG_LEVEL = read(
    text(
        "LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING, ERROR or CRITICAL",
        "(?i:debug|info|warning|error|critical)",
        shown=True,
    ),
    "The least level that is logged.",
).upper()
LOG_FORMAT = read(
    choice("LOG_FORMAT", "generic", "json"),
    "`generic` is for people, `json` for machines.",
)

# Django

SECRET_KEY = (
    read(
        text("DJANGO_SECRET_KEY", "", "a secret text"),
        "Django's; not set: random at each start.",
    )
    or get_random_secret_key()
)
ALLOWED_HOSTS = read(
    listed("DJANGO_ALLOWED_HOSTS", "*", "host names separated by commas"),
    "Django's; the real-time endpoints answer to any name.",
)
FORWARDED_ALLOW_IPS = read(
    listed(
        "FORWARDED_ALLOW_IPS",
        "127.0.0.1,::1",
        "IP addresses or networks separated by commas, or *",
        lambda item: item == "*" or ip_network(item),
    ),
    "Whose `X-Forwarded-…` headers count: for what Django serves, and to say where a "
    "refused publish came from.",
)
CSRF_TRUSTED_ORIGINS = read(
    listed(
        "DJANGO_CSRF_TRUSTED_ORIGINS",
        "",
        "origins separated by commas, for example https://realtime.example.com",
        re.compile(r"https?://[^\s,/]+").fullmatch,
    ),
    "Django's; where the admin is reached under another name than it sees.",
)
SSE_ADMIN_ENABLED = read(
    boolean("SSE_ADMIN_ENABLED", "false"),
    "Whether the admin is served, with the health of all instances.",
)
DATABASES = {
    "default": read(
        Setting(
            "DATABASE_URL",
            f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
            "a database URL such as postgres://user:password@host/name",
            database,
        ),
        "Django's, for the admin: the real-time endpoints use no database. The default "
        "is a file beside the code, wherever that is installed.",
    )
}
environment.require_sensible()

DEBUG = False
TIME_ZONE = "UTC"
USE_TZ = True
# `realtime` before django-prometheus: it says where a worker's metrics are kept.
INSTALLED_APPS = ["corsheaders", "realtime", "django_prometheus", "flagsmith_sse"]
MIDDLEWARE = [
    "flagsmith_sse.middleware.ForwardedMiddleware",
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
