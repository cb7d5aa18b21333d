"""`manage.py serve`: the service on uvicorn, in one process or several."""

import argparse
import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from flagsmith_sse.installing import missing_module
from flagsmith_sse.start_warnings import warn_at_start
from realtime import __version__
from realtime.conf import RealtimeSettings
from realtime.exceptions import RealtimeError
from realtime.monitoring.exporter import start_metrics_server
from realtime.server.development_login import prepare_login
from realtime.server.embedded_nats import embedded_nats
from realtime.server.kept_port import keep_port, kept_port
from realtime.server.kept_secret import keep_secret
from realtime.server.limits import processors, raise_file_limit
from realtime.server.listener import listen, port_of, reserve
from realtime.server.start_message import greeting, own_url
from realtime.server.supervisor import Supervisor
from realtime.server.supervisor_link import WorkerLifeline

TOKEN_FILE: Final = "authentication-token"  # noqa: S105  a file's name
PORT_FILE: Final = "port"
"""In the folder of `--nats-store`: the token that was made up, and the port of NATS."""


def worker_count(text: str) -> int:
    """`auto` is one for each processor that this process may use; 0 is this process
    alone."""
    if text == "auto":
        return processors()
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError("takes a whole number up to 1024, or auto")
    return int(text)


def subscriber_count(text: str) -> int:
    """0 is as many as open files allow."""
    if not text.isdecimal() or int(text) > 10_000_000:
        raise argparse.ArgumentTypeError(
            "takes a whole number; 0 is as many as open files allow"
        )
    return int(text)


@contextmanager
def _nats(store: Path) -> Iterator[str]:
    """The URL of a nats-server that runs meanwhile."""
    file = store / PORT_FILE
    with embedded_nats(store, port=kept_port(file)) as nats:
        keep_port(file, nats.url)
        yield nats.url


class Command(BaseCommand):
    help = (
        "Run the real-time updates service. It listens on LISTEN_ADDR (default :8088) "
        "and stops on SIGTERM or Ctrl-C: open streams are ended one after the other "
        "within SSE_DRAIN_SECONDS. A second Ctrl-C stops at once. With --workers "
        "SIGHUP replaces them one by one."
    )
    # Checked in handle(), because --with-nats fills in what is missing.
    requires_system_checks = ()

    def get_version(self) -> str:
        return f"flagsmith-sse {__version__}"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--workers",
            type=worker_count,
            default=settings.SSE_WORKERS,
            metavar="N",
            help="processes that share the port, with a supervisor that replaces them, "
            "or auto: one per processor (SSE_WORKERS; default: 0, which serves from "
            "this process alone)",
        )
        parser.add_argument(
            "--max-subscribers",
            type=subscriber_count,
            metavar="N",
            help="streams a worker takes (SSE_MAX_SUBSCRIBERS; default: what its limit "
            "of open files allows)",
        )
        parser.add_argument(
            "--with-nats",
            action="store_true",
            help="for development: start a nats-server too, unless NATS_URL is set; "
            "make a token up, unless SSE_AUTHENTICATION_TOKEN is set, and, with the "
            "admin, an account: both stay the same from start to start",
        )
        parser.add_argument(
            "--nats-store",
            type=Path,
            default=Path(".nats"),
            metavar="FOLDER",
            help="where --with-nats keeps NATS's data, the token and the password "
            "(default: .nats)",
        )

    def handle(self, **options: Any) -> None:
        try:
            # Here, because the app does not need them otherwise.
            import uvicorn  # noqa: F401
            import uvloop  # noqa: F401
        except ImportError as error:
            raise CommandError(missing_module(error.name)) from None
        if options["max_subscribers"]:
            settings.SSE_MAX_SUBSCRIBERS = options["max_subscribers"]
        raise_file_limit()
        try:
            if lifeline := WorkerLifeline.inherited():
                self._work(lifeline)
            elif options["workers"] == 0:
                self._serve_alone(options)
            else:
                self._supervise(options)
        except (RealtimeError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _work(self, lifeline: WorkerLifeline) -> None:
        with lifeline.listener as listener:
            self._run_server(listener, lifeline)

    def _serve_alone(self, options: dict[str, Any]) -> None:
        # First what fails most often, before anything is started.
        with (
            listen(settings.LISTEN_ADDR) as listener,
            self._surroundings(options, port_of(listener)),
        ):
            self._run_server(listener)

    def _supervise(self, options: dict[str, Any]) -> None:
        with (
            reserve(settings.LISTEN_ADDR) as reservation,
            self._surroundings(options, port_of(reservation)),
            ExitStack() as stack,
        ):
            host = settings.LISTEN_ADDR.rpartition(":")[0]
            supervisor = Supervisor(
                options["workers"],
                f"{host}:{port_of(reservation)}",
                {
                    **os.environ,
                    "NATS_URL": ",".join(settings.NATS_URL),
                    "SSE_AUTHENTICATION_TOKEN": settings.SSE_AUTHENTICATION_TOKEN,
                    # The same for all, where it was made up.
                    "DJANGO_SECRET_KEY": settings.SECRET_KEY,
                },
                drain=settings.SSE_DRAIN_SECONDS,
            )
            # Here, because the workers would each say the same.
            warn_at_start()
            if server := start_metrics_server(supervisor.exposition):
                stack.callback(server.close)
            asyncio.run(supervisor.run())

    @contextmanager
    def _surroundings(self, options: dict[str, Any], port: int) -> Iterator[None]:
        """Everything that the service needs and that `--with-nats` provides."""
        with_nats: bool = options["with_nats"]
        with ExitStack() as stack:
            store = options["nats_store"].resolve()
            if with_nats and not settings.SSE_AUTHENTICATION_TOKEN:
                settings.SSE_AUTHENTICATION_TOKEN = keep_secret(store / TOKEN_FILE)
            RealtimeSettings.from_django()
            if with_nats and not settings.NATS_URL:
                settings.NATS_URL = [stack.enter_context(_nats(store))]
            if with_nats:
                self.stdout.write(greeting(port))
                if apps.is_installed("django.contrib.admin"):
                    self._prepare_admin(port, store)
                self.stdout.flush()
            yield

    @staticmethod
    def _run_server(
        listener: socket.socket, lifeline: WorkerLifeline | None = None
    ) -> None:
        from flagsmith_sse.asgi import application, service
        from realtime.server.server import Server

        Server(application, service, lifeline).run_on(listener)

    def _prepare_admin(self, port: int, folder: Path) -> None:
        try:
            login = prepare_login(folder / "admin-password")
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            self.stdout.write(
                f"\nThe admin's database cannot be used ({reason}): DATABASE_URL says "
                "where it is. Streams and updates go on without it.\n"
            )
            return
        self.stdout.write(
            f"\nThe health of all instances: {own_url(port)}/admin/\n"
            f"Log in as {login}\n"
        )
