"""The admin's database: whether the admin can use it, and what is said where it cannot.
Streams and publishing have nothing to do with it."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from flagsmith_sse.pages import page_response
from realtime.rate_limit import RateLimit

logger = structlog.get_logger("sse")

ADMIN: Final = "/admin"

REMEMBERED_SECONDS: Final = 1.0
"""How long a fault is taken to last, so that not every request looks for it."""

_logged = RateLimit(60)


class DatabaseFault(NamedTuple):
    """`problem` is a sentence for anybody, and `commands` are what mends it. `reason`,
    which the database gave, names addresses: it is for the log."""

    problem: str
    commands: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        sentences = [self.problem]
        if self.reason:
            sentences.append(f"DATABASE_URL says where it is ({self.reason}).")
        if self.commands:
            remedy = " and ".join(f"`{command}`" for command in self.commands)
            sentences.append(f"Run {remedy}.")
        return " ".join(sentences)


def admin_database_fault() -> DatabaseFault | None:
    """Why the admin cannot use its database; None if it can. Takes as long as the
    database does."""
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error as error:
        return DatabaseFault(
            "The admin's database cannot be reached.",
            reason=str(error).strip().partition("\n")[0],
        )
    if missing:
        # How the commands are called, as far as this process can tell.
        called = Path(sys.argv[0]).name
        manage = called if called == "flagsmith-sse" else "python manage.py"
        return DatabaseFault(
            "The admin's database has not all of its tables.",
            (f"{manage} migrate", f"{manage} createsuperuser"),
        )
    return None


class AdminDatabaseMiddleware:
    """Answers for the admin's pages with 503 and the reason where the database cannot
    be used, instead of with 500 and a stack trace."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._complete = False
        """Whether it was found to have all tables."""
        self._fault: DatabaseFault | None = None
        self._faulty_until = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(ADMIN) and (fault := self._look()):
            return _unusable(request, fault)
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        """Of a view: the database may have been lost, or replaced, since."""
        if not isinstance(exception, Error):
            return None
        self._complete = False
        fault = self._look()
        return _unusable(request, fault) if fault else None

    def _look(self) -> DatabaseFault | None:
        if time.monotonic() < self._faulty_until:
            return self._fault
        if self._complete:
            with suppress(Error):
                connection.ensure_connection()  # which the view will use
                return None
        self._fault = admin_database_fault()
        self._complete = self._fault is None
        if self._fault:
            self._faulty_until = time.monotonic() + REMEMBERED_SECONDS
        return self._fault


def warn_of_admin_database() -> None:
    """Log what is wrong with the admin's database, if anything is."""
    try:
        if fault := admin_database_fault():
            _log(fault)
    finally:
        connection.close()


def _unusable(request: HttpRequest, fault: DatabaseFault) -> HttpResponse:
    _log(fault)
    return page_response(
        request,
        "front/admin_unusable.html",
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail=fault.problem,
        commands=fault.commands,
    )


def _log(fault: DatabaseFault) -> None:
    if times := _logged.count(fault.problem):
        logger.warning("admin.database_unusable", reason=str(fault), times=times)
