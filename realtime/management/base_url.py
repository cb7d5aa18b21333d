"""The `--url` option of the commands that talk to a running service."""

from argparse import ArgumentParser
from urllib.parse import quote

from django.conf import settings

DEFAULT_BASE_URL = "http://localhost:8088"


def add_url_argument(parser: ArgumentParser) -> None:
    default = getattr(settings, "SSE_SERVER_BASE_URL", DEFAULT_BASE_URL)
    parser.add_argument(
        "--url",
        default=default,
        help=f"base URL of the service (SSE_SERVER_BASE_URL, now {default})",
    )


def endpoint(url: str, environment: str, name: str) -> str:
    """The URL of `environment`'s endpoint `name`, whatever characters the key has."""
    return f"{url.rstrip('/')}/sse/environments/{quote(environment, safe='')}/{name}"
