"""`manage.py publish_update`: tell every subscriber of an environment to refetch."""

import json
import urllib.error
import urllib.request
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandError

from realtime.exceptions import InvalidUpdate
from realtime.management.client_command import (
    ClientCommand,
    add_url_argument,
    checked_endpoint,
    refusal,
    token_to_publish_with,
)
from realtime.updates import parse_update

TIMEOUT_SECONDS: Final = 2
"""As the task processor's."""


class Command(ClientCommand):
    help = (
        "Tell an environment's subscribers to refetch their flags. "
        "Publishes an update of ENVIRONMENT over HTTP, as Flagsmith's task processor "
        "does: every subscriber of it is told and refetches its flags. The secret is "
        "taken from SSE_AUTHENTICATION_TOKEN."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "environment", metavar="ENVIRONMENT", help="the environment's key"
        )
        parser.add_argument(
            "--updated-at",
            metavar="TIME",
            help="ISO 8601 date and time, or Unix seconds (default: now)",
        )
        add_url_argument(parser)

    def handle(self, **options: Any) -> None:
        token = token_to_publish_with()
        body = self._body(options["environment"], options["updated_at"])
        url = checked_endpoint(options["url"], options["environment"], "queue-change")
        request = urllib.request.Request(  # noqa: S310  the setting takes http(s) only
            url,
            body,
            {"Authorization": f"Token {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310  as above
                pass
        except urllib.error.HTTPError as error:
            raise refusal(url, error) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise CommandError(f"Cannot reach {url}: {reason}") from None
        self.stdout.write(f"Published {body.decode()} for {options['environment']}")

    @staticmethod
    def _body(environment: str, updated_at: str | None) -> bytes:
        if updated_at is None:
            updated_at = datetime.now(UTC).isoformat()
        try:
            # A number goes out as it was written, like any JSON.
            float(updated_at)
            body = f'{{"updated_at": {updated_at}}}'.encode()
        except ValueError:
            body = json.dumps({"updated_at": updated_at}).encode()
        try:
            parse_update(environment, body)
        except InvalidUpdate:
            raise CommandError(
                f"--updated-at {updated_at}: takes a date and time as of ISO 8601, "
                "or Unix seconds"
            ) from None
        return body
