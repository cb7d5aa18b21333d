"""`manage.py watch`: print an environment's stream, as an SDK would receive it."""

import http.client
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from datetime import datetime
from typing import Any, Final

from realtime.management.client_command import (
    ClientCommand,
    add_url_argument,
    answer_of,
    checked_endpoint,
    refusal,
)

RETRY_SECONDS: Final = 3.0
"""Until a stream says otherwise by `retry:`."""

SILENCE_SECONDS: Final = 60
"""Four times the usual interval of keep-alives: the connection is dead."""


class Command(ClientCommand):
    help = (
        "Print an environment's updates as they come. "
        "Subscribes to ENVIRONMENT and prints every event with the time it came at; "
        "reconnects for ever, as an SDK does. Ctrl-C stops it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "environment", metavar="ENVIRONMENT", help="the environment's key"
        )
        parser.add_argument(
            "--keepalives", action="store_true", help="print keep-alive comments too"
        )
        add_url_argument(parser)

    def handle(self, **options: Any) -> None:
        self._retry = RETRY_SECONDS
        self._keepalives: bool = options["keepalives"]
        url = checked_endpoint(options["url"], options["environment"], "stream")
        try:
            while True:
                self._say(f"{self._read(url)}; reconnecting in {self._retry:.1f} s")
                time.sleep(self._retry)
        except KeyboardInterrupt:
            self.stdout.write("")

    def _read(self, url: str) -> str:
        """Print the stream until it ends; returns why it did."""
        request = urllib.request.Request(  # noqa: S310  the setting takes http(s) only
            url, headers={"Accept": "text/event-stream"}
        )
        try:
            with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:  # noqa: S310  as above
                self._say(f"connected to {url}")
                for line in response:
                    self._print(line.decode(errors="replace").rstrip("\r\n"))
            return "the stream ended"
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise refusal(url, error) from None
            return f"the service answered {error.code}: {answer_of(error)}"
        except TimeoutError:
            return f"nothing came for {SILENCE_SECONDS} s"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"no connection: {getattr(error, 'reason', error)}"

    def _print(self, line: str) -> None:
        if line.startswith("retry:"):
            self._retry = int(line.removeprefix("retry:")) / 1000
        elif line.startswith(":"):
            if self._keepalives:
                self._say(line)
        elif line and not line.startswith("event:"):
            self._say(line)

    def _say(self, text: str) -> None:
        now = datetime.now().astimezone().isoformat(" ", "milliseconds")
        self.stdout.write(f"{now}  {text}")
        self.stdout.flush()
