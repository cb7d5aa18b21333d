"""What the commands that talk to a running service are told, and its check: the
`--url` option, and an environment's key."""

from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import CommandError

from realtime.environments import MAX_KEY_LENGTH, is_environment_key
from realtime.loadtest.target import Target, endpoint

DEFAULT_BASE_URL = "http://localhost:8088"


def add_url_argument(parser: ArgumentParser) -> None:
    default = getattr(settings, "SSE_SERVER_BASE_URL", DEFAULT_BASE_URL)
    parser.add_argument(
        "--url",
        default=default,
        help=f"base URL of the service (SSE_SERVER_BASE_URL, now {default})",
    )


def checked_url(url: str) -> str:
    """`url`, which is the base URL of a service. Raises `CommandError` with what is
    wrong with it."""
    try:
        target = Target.of(url)
    except ValueError as error:
        raise CommandError(f"--url {url}: {error}") from None
    if "?" in target.path or "#" in url:
        raise CommandError(f"--url {url}: takes a URL without ? and #")
    return url


def checked_endpoint(url: str, environment: str, name: str) -> str:
    """The URL of `environment`'s endpoint `name` at the service at `url`. Raises
    `CommandError` if there can be no such environment, or no such URL."""
    return endpoint(checked_url(url), checked_key(environment), name)


def checked_key(environment: str) -> str:
    """`environment`. Raises `CommandError` if no environment can have it for its
    key."""
    if not is_environment_key(environment):
        raise CommandError(
            f"{environment!r} cannot be an environment's key: that has letters, "
            "digits, - and _, dots only between them, and at most "
            f"{MAX_KEY_LENGTH} characters"
        )
    return environment
