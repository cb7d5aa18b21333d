"""The base of the commands that are clients, of NATS or of a service that runs, and the
options that they share. What checks an option raises `CommandError`."""

import math
import os
import select
import sys
import urllib.error
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from realtime import __version__
from realtime.environments import MAX_KEY_LENGTH, is_environment_key
from realtime.exceptions import RealtimeError
from realtime.fleet.terminal_text import printable
from realtime.http.url import HttpUrl, endpoint
from realtime.probing.faults import advice_on, answer_text
from realtime.tokens import configured_token, token_fault, tokens_in

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""What a shell makes of SIGINT and SIGPIPE: 128 and the signal's number."""

DEFAULT_BASE_URL: Final = "http://localhost:8088"


class ClientCommand(BaseCommand):
    """A command that ends as programs of a terminal do.

    Ctrl-C ends it with the exit code `INTERRUPTED`, a reader that leaves its pipe, as
    `head` does, with `BROKEN_PIPE`, both without a word. What our own exceptions say,
    such as `NatsUnavailable`, becomes one line, and the exit code is 1.

    Django's checks are those of the service that hosts streams, which a client is not.
    """

    requires_system_checks = ()

    def get_version(self) -> str:
        """What `--version` prints: ours, where Django's commands print Django's."""
        return f"flagsmith-sse {__version__}"

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            output: str | None = super().execute(*args, **options)
            # Here, because at the interpreter's end nobody catches what it raises.
            self.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            if not _reader_has_left():
                raise
            _write_no_more()
            sys.exit(BROKEN_PIPE)
        except RealtimeError as error:
            raise CommandError(str(error)) from error
        return output


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


def answer_of(error: urllib.error.HTTPError) -> str:
    """What the service answered, for a terminal."""
    return printable(answer_text(error.read()))


def refusal(url: str, error: urllib.error.HTTPError) -> CommandError:
    """How a command fails that was refused at `url`."""
    advice = advice_on(error.code)
    return CommandError(f"{url} answered {error.code}: {answer_of(error)} {advice}")


def _reader_has_left() -> bool:
    """Whether it is the output that is broken, and not a connection."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(happened & select.POLLERR for _, happened in poll.poll(0))


def _write_no_more() -> None:
    """Have what is still to be written to the output go nowhere: the interpreter would
    try at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
