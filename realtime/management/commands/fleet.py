"""`manage.py fleet`: the state of the whole fleet, in the terminal."""

import asyncio
import sys
import time
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand

from realtime.conf import RealtimeSettings
from realtime.fleet.overview import FleetReport, as_json, gather
from realtime.fleet.stories import SHOWN
from realtime.fleet.text import NEWEST, fleet_text

WATCH_SECONDS: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"


class Command(BaseCommand):
    help = (
        "Ask every instance over NATS and tell whether real-time updates work, and "
        "what each instance does. The exit code is 0 if all is well, 1 if the fleet is "
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
        try:
            while True:
                report = asyncio.run(gather(settings))
                self._show(report, **options)
                if not options["watch"]:
                    break
                time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return
        sys.exit(("well", "degraded", "down").index(report.verdict.level))

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
