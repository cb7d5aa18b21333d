"""`manage.py serve`: the service in one process, on uvicorn."""

import os
import secrets
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from realtime.conf import RealtimeSettings
from realtime.exceptions import RealtimeError


class Command(BaseCommand):
    help = (
        "Run the real-time updates service. It listens on LISTEN_ADDR (default :8088) "
        "and stops on SIGTERM or Ctrl-C: open streams are ended one after the other "
        "within SSE_DRAIN_SECONDS. A second Ctrl-C stops at once."
    )
    # Checked in handle(), because --with-nats fills in what is missing.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--with-nats",
            action="store_true",
            help="for development: start a nats-server too, unless NATS_URL is set; "
            "make a token up, unless SSE_AUTHENTICATION_TOKEN is set",
        )
        parser.add_argument(
            "--nats-store",
            type=Path,
            default=Path(".nats"),
            metavar="FOLDER",
            help="where the nats-server of --with-nats keeps its data (default: .nats)",
        )

    def handle(self, **options: Any) -> None:
        try:
            from realtime.server.embedded_nats import embedded_nats
            from realtime.server.listener import listen, port_of
            from realtime.server.server import Server
        except ImportError as error:
            raise CommandError(
                f"{error.name} is not installed: pip install -r requirements/serve.txt"
            ) from None
        with_nats: bool = options["with_nats"]
        try:
            with ExitStack() as stack:
                # First what fails most often, before anything is started.
                listener = stack.enter_context(listen(settings.LISTEN_ADDR))
                if with_nats and not settings.SSE_AUTHENTICATION_TOKEN:
                    settings.SSE_AUTHENTICATION_TOKEN = secrets.token_hex(20)
                RealtimeSettings.from_django()
                if with_nats and not settings.NATS_URL:
                    store = options["nats_store"].resolve()
                    settings.NATS_URL = [stack.enter_context(embedded_nats(store)).url]
                from flagsmith_sse.asgi import application, service

                if with_nats:
                    self._greet(port_of(listener))
                Server(application, service).run_on(listener)
        except (RealtimeError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _greet(self, port: int) -> None:
        url = f"http://localhost:{port}"
        token = settings.SSE_AUTHENTICATION_TOKEN
        environment = f"{url}/sse/environments/my-environment"
        self.stdout.write(
            f"\nReal-time updates on {url}, process {os.getpid()}; Ctrl-C stops it.\n"
            f"SSE_AUTHENTICATION_TOKEN={token}\n\n"
            "Subscribe, publish, ask whether it is ready:\n\n"
            f"  curl -N {environment}/stream\n"
            f"  curl -X POST {environment}/queue-change "
            f"-H 'Authorization: Token {token}' -H 'Content-Type: application/json' "
            """-d '{"updated_at": "2026-01-31T12:00:00+00:00"}'\n"""
            f"  curl {url}/readyz\n"
        )
        self.stdout.flush()
