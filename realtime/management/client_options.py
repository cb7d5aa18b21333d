"""The options of the commands that talk to a running service, and their checks, which
raise `CommandError` with what is wrong."""

import math
from argparse import ArgumentParser, ArgumentTypeError

from django.conf import settings
from django.core.management.base import CommandError

from realtime.conf import configured_token, token_fault, tokens_in
from realtime.environments import MAX_KEY_LENGTH, is_environment_key
from realtime.http.url import HttpUrl, endpoint

DEFAULT_BASE_URL = "http://localhost:8088"


def add_url_argument(parser: ArgumentParser) -> None:
    default = getattr(settings, "SSE_SERVER_BASE_URL", DEFAULT_BASE_URL)
    parser.add_argument(
        "--url",
        default=default,
        help=f"base URL of the service (SSE_SERVER_BASE_URL, now {default})",
    )


def seconds(text: str, most: float = math.inf) -> float:
    """The type of an option: a number of seconds, more than 0 and at most `most`."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= most or math.isinf(value):
        raise ArgumentTypeError("takes a number of seconds, more than 0")
    return value


def checked_url(text: str) -> str:
    """`text`, if it is the base URL of a service."""
    try:
        url = HttpUrl.parse(text)
    except ValueError as error:
        raise CommandError(f"--url {text}: {error}") from None
    if "?" in url.path or "#" in text:
        raise CommandError(f"--url {text}: takes a URL without ? and #")
    return text


def checked_endpoint(base_url: str, environment: str, name: str) -> str:
    """The URL of `environment`'s endpoint `name` at the service at `base_url`."""
    if not is_environment_key(environment):
        raise CommandError(
            f"{environment!r} cannot be an environment's key: that has letters, "
            "digits, - and _, dots only between them, and at most "
            f"{MAX_KEY_LENGTH} characters"
        )
    return endpoint(checked_url(base_url), environment, name)


def token_to_publish_with(given: str | None = None) -> str:
    """The secret in `given`, the option `--token`; without it that in
    `SSE_AUTHENTICATION_TOKEN`."""
    configured = configured_token() if given is None else given
    if fault := token_fault(configured):
        name = "SSE_AUTHENTICATION_TOKEN" if given is None else "--token"
        raise CommandError(f"{name} {fault}")
    return tokens_in(configured)[0]
