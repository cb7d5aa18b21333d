"""`manage.py serve`: the service on uvicorn, in one process or several."""

import argparse
import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.utils.module_loading import import_string

from realtime import __version__
from realtime.apps import workers_starting
from realtime.conf import MAX_SUBSCRIBERS, RealtimeSettings, configured
from realtime.exceptions import RealtimeError
from realtime.process import processors, raise_file_limit
from realtime.server.development import keep_secret, kept_nats, prepare_login
from realtime.server.listener import listen, port_of, reserve
from realtime.server.metrics_port import start_metrics_server
from realtime.server.missing_packages import missing_module
from realtime.server.settings import LISTEN_ADDR, WORKERS
from realtime.server.start_message import greeting, own_url
from realtime.server.supervisor import Supervisor
from realtime.server.worker import inherited_sockets
from realtime.setting import Setting, T
from realtime.tokens import configured_token

TOKEN_FILE: Final = "authentication-token"  # noqa: S105  a file's name
"""In the folder of `--nats-store`: the token that was made up."""


def taken_by(setting: Setting[T]) -> Callable[[str], T]:
    """The type of an option that stands for `setting`."""

    def parse(text: str) -> T:
        try:
            return setting.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"takes {setting.takes}") from None

    return parse


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
            type=taken_by(WORKERS),
            default=str(configured(WORKERS)),
            metavar="N",
            help="processes that share the port, with a supervisor that replaces them, "
            "or auto: one per processor (SSE_WORKERS; default: 0, which serves from "
            "this process alone)",
        )
        parser.add_argument(
            "--max-subscribers",
            type=taken_by(MAX_SUBSCRIBERS),
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
        if not hasattr(settings, "ASGI_APPLICATION"):
            raise CommandError(
                "serve needs ASGI_APPLICATION in the settings, which names what "
                "realtime.hosting.host composes (docs/deployment.md)."
            )
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
            if sockets := inherited_sockets():
                self._work(*sockets)
            elif str(options["workers"]) == "0":
                self._serve_alone(options)
            else:
                self._supervise(options)
        except (RealtimeError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _work(self, end: socket.socket, listener: socket.socket) -> None:
        with listener:
            self._run_server(listener, end)

    def _serve_alone(self, options: dict[str, Any]) -> None:
        # First what fails most often, before anything is started.
        with (
            listen(configured(LISTEN_ADDR)) as listener,
            self._surroundings(options, port_of(listener)),
        ):
            self._run_server(listener)

    def _supervise(self, options: dict[str, Any]) -> None:
        workers, address = options["workers"], configured(LISTEN_ADDR)
        with (
            reserve(address) as reservation,
            self._surroundings(options, port_of(reservation)) as service,
            ExitStack() as stack,
        ):
            supervisor = Supervisor(
                processors() if workers == "auto" else int(workers),
                f"{address.rpartition(':')[0]}:{port_of(reservation)}",
                {
                    **os.environ,
                    "NATS_URL": ",".join(service.nats_servers),
                    "SSE_AUTHENTICATION_TOKEN": settings.SSE_AUTHENTICATION_TOKEN,
                    # The same for all, where it was made up.
                    "DJANGO_SECRET_KEY": settings.SECRET_KEY,
                },
                drain=service.drain,
            )
            workers_starting.send(sender=Command)
            if server := start_metrics_server(supervisor.exposition):
                stack.callback(server.close)
            asyncio.run(supervisor.run())

    @contextmanager
    def _surroundings(
        self, options: dict[str, Any], port: int
    ) -> Iterator[RealtimeSettings]:
        """Everything that the service needs and that `--with-nats` provides; yields
        the settings with it."""
        with_nats: bool = options["with_nats"]
        with ExitStack() as stack:
            store = options["nats_store"].resolve()
            if with_nats and not configured_token():
                settings.SSE_AUTHENTICATION_TOKEN = keep_secret(store / TOKEN_FILE)
            RealtimeSettings.from_django()
            if with_nats and not getattr(settings, "NATS_URL", None):
                settings.NATS_URL = [stack.enter_context(kept_nats(store))]
            if with_nats:
                self.stdout.write(greeting(port))
                if apps.is_installed("django.contrib.admin"):
                    self._prepare_admin(port, store)
                self.stdout.flush()
            yield RealtimeSettings.from_django()

    @staticmethod
    def _run_server(listener: socket.socket, end: socket.socket | None = None) -> None:
        from realtime.hosting import hosted_service
        from realtime.server.server import Server

        application = import_string(settings.ASGI_APPLICATION)
        Server(application, hosted_service(application), end).run_on(listener)

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
