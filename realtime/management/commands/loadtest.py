"""`manage.py loadtest`: very many subscribers, and when each is told."""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from realtime.http.url import HttpUrl
from realtime.loadtest.options import LoadTestOptions, processes_for
from realtime.loadtest.plot import check_plot, plot
from realtime.loadtest.report import progress_line, summary, text
from realtime.loadtest.results import Results
from realtime.loadtest.run import LoadTest
from realtime.management.client_command import (
    ClientCommand,
    add_url_argument,
    checked_endpoint,
    seconds,
    token_to_publish_with,
)
from realtime.process import raise_file_limit

LINE_SECONDS: Final = 0.2
"""Between two progress lines on a terminal, each of which takes the last one's
place."""

LOG_SECONDS: Final = 10.0
"""Between two progress lines where they are kept: in a file, or a CI's log."""

MOST_ENVIRONMENTS: Final = 1000

DEFAULT_ENVIRONMENT: Final = "load_test"


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError("takes a whole number from 1")
    return int(text)


def environment_count(text: str) -> int:
    """For each environment a process notes a byte a subscriber."""
    if (found := count(text)) > MOST_ENVIRONMENTS:
        raise argparse.ArgumentTypeError(f"takes at most {MOST_ENVIRONMENTS:,}")
    return found


def process_count(text: str) -> int | None:
    """None is for the load test to choose."""
    return None if text == "auto" else count(text)


def rate(text: str) -> float:
    """`4000/s`, or just `4000`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/s)?", text, re.ASCII)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError("takes connections a second, such as 4000/s")
    return float(found[1])


class Command(ClientCommand):
    help = (
        "Put a running service under the load of very many streams. "
        "Subscribe very many times to a running service, to one environment or "
        "several, publish updates, and tell who got which when. The secret is taken "
        "from SSE_AUTHENTICATION_TOKEN. Latency is from the sending of an update to "
        "its arrival at a subscriber, both by this machine's clock. Ctrl-C ends it "
        "early, with the summary. The exit code is 0 if nobody was rejected or dropped "
        "and no update failed or is missing, else 1."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        def option(name: str, kind: Any, default: str, meaning: str) -> None:
            parser.add_argument(
                f"--{name}",
                type=kind,
                default=default,
                metavar="N",
                help=f"{meaning} (default: {default})",
            )

        option("subscribers", count, "15000", "streams to open")
        option("ramp", rate, "4000/s", "connections to open a second")
        option("interval", seconds, "10", "seconds between updates")
        option("duration", seconds, "60", "seconds of updates, once all are connected")
        option("grace", seconds, "5", "seconds after which a delivery is missing")
        processes = "processes to share the work, or auto: one per processor"
        option("processes", process_count, "auto", processes)
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--environment",
            action="append",
            metavar="KEY",
            help="the environment's key (default: load_test); given several times, the "
            "subscribers are spread over the environments, which are updated in turn",
        )
        which.add_argument(
            "--environments",
            type=environment_count,
            metavar="N",
            help="so many environments: load_test_1, load_test_2 and so on",
        )
        parser.add_argument(
            "--json", action="store_true", help="print the summary as JSON only"
        )
        parser.add_argument(
            "--plot",
            type=Path,
            metavar="FILE.png",
            help="draw latency over time and its distribution (needs matplotlib)",
        )
        add_url_argument(parser)

    def handle(self, **options: Any) -> None:
        self._shows = sys.stderr.isatty() and not options["json"]
        self._start = time.monotonic()
        self._next_line = self._start + (0 if self._shows else LOG_SECONDS)
        picture: Path | None = options["plot"]
        try:
            load_options = self._options(options)
            if picture:
                check_plot(picture)
            results = LoadTest(load_options, self._show).run()
        finally:
            self._clear()
        found = summary(results)
        self.stdout.write(json.dumps(found) if options["json"] else text(found))
        if picture:
            plot(results, picture)
        if not results.is_clean:
            raise SystemExit(1)

    @staticmethod
    def _options(options: dict[str, Any]) -> LoadTestOptions:
        """Raises `CommandError` and `LoadTestFailed`."""
        keys: list[str] = options["environment"] or [DEFAULT_ENVIRONMENT]
        if count := options["environments"]:
            keys = [f"{DEFAULT_ENVIRONMENT}_{n}" for n in range(1, count + 1)]

        def urls(name: str) -> tuple[HttpUrl, ...]:
            found = (checked_endpoint(options["url"], key, name) for key in keys)
            return tuple(map(HttpUrl.parse, found))

        return LoadTestOptions(
            token=token_to_publish_with(),
            streams=urls("stream"),
            queue_changes=urls("queue-change"),
            subscribers=options["subscribers"],
            processes=processes_for(
                options["subscribers"], options["processes"], raise_file_limit()
            ),
            ramp=options["ramp"],
            interval=options["interval"],
            duration=options["duration"],
            grace=options["grace"],
        )

    def _show(self, results: Results) -> None:
        now = time.monotonic()
        if now < self._next_line:
            return
        line = progress_line(results, now - self._start)
        if self._shows:
            self._next_line = now + LINE_SECONDS
            self._write_line(line)
        else:
            self._next_line = now + LOG_SECONDS
            print(line, file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._shows:
            self._write_line("")

    def _write_line(self, line: str) -> None:
        """Put `line` in place of the last one."""
        # Not `self.stderr`, where everything is an error, and red.
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
