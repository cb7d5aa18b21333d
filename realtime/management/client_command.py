"""The base of the commands that are clients: of NATS, or of a service that runs."""

import os
import select
import sys
import urllib.error
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from realtime import __version__
from realtime.exceptions import RealtimeError
from realtime.fleet.text import printable
from realtime.probing.faults import advice_on, answer_text

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""What a shell makes of SIGINT and SIGPIPE: 128 and the signal's number."""


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
