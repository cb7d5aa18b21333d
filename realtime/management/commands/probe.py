"""`manage.py probe`: whether it works right now, from the publish to the client."""

import asyncio
import socket
import sys
from argparse import ArgumentParser
from functools import partial
from typing import Any

from msgspec import json

from realtime.conf import RealtimeSettings
from realtime.environments import probe_environment
from realtime.fleet.terminal_text import printable
from realtime.management.client_command import (
    ClientCommand,
    add_url_argument,
    checked_url,
    seconds,
    token_to_publish_with,
)
from realtime.probing.probe import TIMEOUT_SECONDS, Plan
from realtime.probing.read_survey import probe_and_ask_instances


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
            type=partial(seconds, most=3600),
            default=TIMEOUT_SECONDS,
            metavar="SECONDS",
            help=f"how long each step may take (default: {TIMEOUT_SECONDS:g})",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, one line")

    def handle(self, **options: Any) -> None:
        plan = Plan(
            url=checked_url(options["url"]),
            token=token_to_publish_with(options["token"]),
            environment=probe_environment(socket.gethostname()),
            seconds=options["timeout"],
        )
        settings = RealtimeSettings.from_django(hosting=False)
        result = asyncio.run(probe_and_ask_instances(settings, plan))
        if options["json"]:
            self.stdout.write(json.encode(result).decode())
        elif result.hops:
            self.stdout.write(result.text)
        if result.fault is not None:
            if not options["json"]:
                self.stdout.flush()
                self.stderr.write(printable(str(result.fault)))
            sys.exit(1)
