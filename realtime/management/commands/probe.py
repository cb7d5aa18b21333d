"""`manage.py probe`: whether it works right now, from the publish to the client."""

import asyncio
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from realtime.conf import RealtimeSettings
from realtime.environments import probe_environment
from realtime.management.base import ClientCommand
from realtime.management.base_url import add_url_argument, checked_url
from realtime.probing.probe import TIMEOUT_SECONDS, Plan, probe
from realtime.probing.readers import asked_over_nats
from realtime.probing.result import Result, as_json, printable
from realtime.tokens import configured_token, token_fault, tokens_in


async def _probe(plan: Plan, settings: RealtimeSettings) -> Result:
    async with asked_over_nats(settings) as readers:
        return await probe(plan, readers)


def seconds(text: str) -> float:
    """A number of seconds, more than 0 and at most an hour."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 3600:
        raise ArgumentTypeError("takes a number of seconds, more than 0")
    return value


class Command(ClientCommand):
    help = (
        "Try whether real-time updates work, as a client sees it. Opens a stream at "
        "the public address, publishes an update, and tells how long each step took. "
        "The environment is one of the probe's own: nobody refetches. The exit code is "
        "0 if it works, else 1, with what failed and what to do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_url_argument(parser)
        parser.add_argument(
            "--token",
            metavar="SECRET",
            help="what to publish with (default: SSE_AUTHENTICATION_TOKEN, which does "
            "not show in the list of processes)",
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=TIMEOUT_SECONDS,
            metavar="SECONDS",
            help=f"how long each step may take (default: {TIMEOUT_SECONDS:g})",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, one line")

    def handle(self, **options: Any) -> None:
        plan = Plan(
            url=checked_url(options["url"]),
            token=self._token(options["token"]),
            environment=probe_environment(socket.gethostname()),
            seconds=options["timeout"],
        )
        settings = RealtimeSettings.from_django(hosting=False)
        result = asyncio.run(_probe(plan, settings))
        if options["json"]:
            self.stdout.write(as_json(result).decode())
        elif result.hops:
            self.stdout.write(result.text)
        if result.fault is not None:
            if not options["json"]:
                self.stdout.flush()
                self.stderr.write(printable(str(result.fault)))
            sys.exit(1)

    @staticmethod
    def _token(given: str | None) -> str:
        configured = configured_token() if given is None else given
        if fault := token_fault(configured):
            name = "SSE_AUTHENTICATION_TOKEN" if given is None else "--token"
            raise CommandError(f"{name} {fault}")
        return tokens_in(configured)[0]
