"""`manage.py fleet`: the state of the whole fleet, in the terminal."""

import asyncio
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any, Final

from realtime.conf import RealtimeSettings
from realtime.fleet.fleet_report import FleetReport, as_json
from realtime.fleet.overview import gather
from realtime.fleet.terminal_text import NEWEST, fleet_text
from realtime.fleet.timeline.event_text import SHOWN
from realtime.management.client_command import ClientCommand

WATCH_SECONDS: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"


class Command(ClientCommand):
    help = (
        "Tell the health of all instances. Each is asked over NATS what it does, and "
        "JetStream what it holds. The exit code is 0 if all is well, 1 if the fleet is "
        "degraded, 2 if it is down."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="as JSON, one line a report"
        )
        parser.add_argument(
            "--watch",
            action="store_true",
            help=f"again every {WATCH_SECONDS:g} s, until Ctrl-C",
        )
        parser.add_argument(
            "--events",
            action="store_true",
            help=f"all that happened in the last hours, not only the newest {NEWEST}",
        )

    def handle(self, **options: Any) -> None:
        settings = RealtimeSettings.from_django(hosting=False)
        if options["watch"]:
            self._watch(settings, options)
            return
        report = asyncio.run(gather(settings))
        self._show(report, **options)
        sys.exit(("well", "degraded", "down").index(report.verdict.level))

    def _watch(self, settings: RealtimeSettings, options: dict[str, Any]) -> None:
        # Ctrl-C is the way to end this, and no failure.
        with suppress(KeyboardInterrupt):
            while True:
                self._show(asyncio.run(gather(settings)), **options)
                time.sleep(WATCH_SECONDS)

    def _show(
        self,
        report: FleetReport,
        *,
        json: bool,
        watch: bool,
        events: bool,
        **_: Any,
    ) -> None:
        if json:
            self.stdout.write(as_json(report).decode())
        else:
            if watch and self.stdout.isatty():
                self.stdout.write(_CLEAR, ending="")
            self.stdout.write(fleet_text(report, SHOWN if events else NEWEST))
        self.stdout.flush()
