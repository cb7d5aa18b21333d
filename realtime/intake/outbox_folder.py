"""What waits in the outbox, on disk: `SSE_OUTBOX_FOLDER`.

Each process has a database of its own in the folder, which SQLite keeps locked for as
long as the process lives. One that is not locked was left by a process that has died:
whoever finds it takes over what it holds.
"""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import structlog

from realtime import metrics
from realtime.environments import is_environment_key
from realtime.exceptions import InvalidUpdate
from realtime.intake.outbox import Outbox
from realtime.updates import Identity, Update, parse_update

logger = structlog.get_logger("sse")

_PATTERN: Final = "outbox-*.sqlite3"
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS kept (environment TEXT PRIMARY KEY, updated_at TEXT,"
    " dated INTEGER, sequence INTEGER, stored_at INTEGER, since REAL)"
)
_WRITE: Final = "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM kept WHERE environment = ?"

_Row = tuple[str, str, int, int | None, int | None, float]

CLOSE_SECONDS: Final = 2.0
"""For the last changes to be written."""

TAKE_OVER_SECONDS: Final = 5.0
"""How often the folder is searched for what dead processes left."""


class OutboxFolder:
    """Keeps what `outbox` holds in `folder`, too.

    A disk that is full or broken is no reason not to keep an update: then it is in
    memory only, as without a folder, and `fault` says why.
    """

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        self._folder = folder
        self._outbox = outbox
        self._changed: set[str] = set()
        self._writing: asyncio.Task[None] | None = None
        self._database: sqlite3.Connection | None = None
        self._path = Path()
        self._unreadable: set[Path] = set()
        self._hangs = False
        self.fault: str | None = None
        """Why what waits is in memory only; None: it is on disk."""
        outbox.on_change = self._on_change

    async def saved(self, deadline: float) -> None:
        """Wait until all that has changed so far is on disk, or cannot be; no longer
        than until `deadline` (event loop's time), and not at all for a disk that has
        not answered in time before."""
        if self._hangs or self._writing is None:
            return
        seconds = deadline - asyncio.get_running_loop().time()
        _, late = await asyncio.wait([self._writing], timeout=max(0, seconds))
        if late:
            self._hangs = True
            self._note_fault("the disk does not answer in time")

    async def take_over(self) -> None:
        """For ever, look for what dead processes have left; at once, and again from
        time to time."""
        while True:
            try:
                await self._take_over_once()
            except (OSError, sqlite3.Error) as error:
                self._note_fault(str(error))
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def close(self) -> None:
        """Let go of the database; the last act. An empty one is removed. A disk that
        hangs is left behind."""
        loop = asyncio.get_running_loop()
        await self.saved(loop.time() + CLOSE_SECONDS)
        if self._database is not None and not self._hangs:
            self._database.close()
            if not self._outbox:
                self._path.unlink(missing_ok=True)

    def _on_change(self, environment: str) -> None:
        self._changed.add(environment)
        if self._writing is None or self._writing.done():
            loop = asyncio.get_running_loop()
            self._writing = loop.create_task(self._write_changes())

    async def _write_changes(self) -> None:
        """Write what has changed, in as few transactions as the disk's pace makes."""
        while self._changed:
            changed, self._changed = self._changed, set()
            if self.fault is not None:
                # What an earlier attempt did not write is to be there, too.
                changed.update(kept.update.environment for kept in self._outbox.waiting)
            rows = {environment: self._row(environment) for environment in changed}
            try:
                await asyncio.to_thread(self._commit, rows)
            except (OSError, sqlite3.Error) as error:
                self._note_fault(str(error))
            else:
                self._note_fault(None)
            self._hangs = False

    def _row(self, environment: str) -> _Row | None:
        kept = self._outbox.get(environment)
        if kept is None:
            return None
        sequence, stored_at = kept.known or (None, None)
        update = kept.update
        return (
            environment,
            update.updated_at,
            int(update.dated),
            sequence,
            stored_at,
            kept.since,
        )

    def _commit(self, rows: dict[str, _Row | None]) -> None:
        """In a thread: a disk takes its time."""
        if self._database is None:
            self._database = self._create()
        with self._database:
            self._database.executemany(_WRITE, [row for row in rows.values() if row])
            gone = [(environment,) for environment, row in rows.items() if row is None]
            self._database.executemany(_DELETE, gone)

    def _create(self) -> sqlite3.Connection:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            name = _PATTERN.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}")
            self._path = self._folder / name
            database = sqlite3.connect(self._path, check_same_thread=False)
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA synchronous = FULL")
            with database:
                database.execute(_TABLE)
            if self._path.exists():
                return database
            # Another process took it for a dead one's before it was locked.
            database.close()

    async def _take_over_once(self) -> None:
        loop = asyncio.get_running_loop()
        paths = await asyncio.to_thread(lambda: list(self._folder.glob(_PATTERN)))
        for path in paths:
            # What is taken over must be on disk here before it is gone there.
            if path == self._path or self.fault is not None:
                continue
            left = await asyncio.to_thread(self._open_if_left, path)
            if left is None:
                continue
            database, rows = left
            with closing(database):
                self._keep(rows)
                await self.saved(loop.time() + TAKE_OVER_SECONDS)
                if self.fault is None:
                    await asyncio.to_thread(path.unlink, missing_ok=True)
            if rows:
                logger.warning("outbox.taken_over", updates=len(rows), file=path.name)

    def _open_if_left(self, path: Path) -> tuple[sqlite3.Connection, list[_Row]] | None:
        """The database at `path`, locked by us now, and what it holds; None if its
        process lives, another one was quicker, or it cannot be read."""
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with ExitStack() as unless_ours:
            try:
                database = sqlite3.connect(
                    uri, uri=True, timeout=0, check_same_thread=False
                )
                unless_ours.callback(database.close)
                database.execute("BEGIN EXCLUSIVE")
                database.execute(_TABLE)
                rows = database.execute("SELECT * FROM kept").fetchall()
                _check(rows)
            except sqlite3.OperationalError as error:
                logger.debug("outbox.not_taken_over", file=path.name, reason=str(error))
                return None
            except (sqlite3.DatabaseError, InvalidUpdate) as error:
                # Looked at again and again, and told once.
                if path not in self._unreadable:
                    self._unreadable.add(path)
                    logger.error("outbox.unreadable", file=str(path), reason=str(error))
                return None
            unless_ours.pop_all()
            return database, rows

    def _keep(self, rows: Iterable[_Row]) -> None:
        for environment, updated_at, dated, sequence, stored_at, since in rows:
            known: Identity | None = None
            if sequence is not None and stored_at is not None:
                known = sequence, stored_at
            # It came before whatever has come to this process.
            self._outbox.keep(
                Update(environment, updated_at, bool(dated)),
                known,
                reason="a process that kept it has died",
                since=since,
                arrival=0,
            )

    def _note_fault(self, fault: str | None) -> None:
        if fault == self.fault:
            return
        self.fault = fault
        metrics.outbox_memory_only.set(fault is not None)
        if fault is not None:
            logger.error("outbox.not_on_disk", folder=str(self._folder), reason=fault)
        else:
            logger.info("outbox.on_disk_again", folder=str(self._folder))


def _check(rows: Iterable[tuple[object, ...]]) -> None:
    """Raises `InvalidUpdate` for a row that `OutboxFolder._commit` has not written."""
    for row in rows:
        match row:
            case [str(environment), str(updated_at), _, _, _, float()] if (
                is_environment_key(environment)
            ):
                parse_update(environment, b'{"updated_at":%s}' % updated_at.encode())
            case _:
                raise InvalidUpdate("detail", "a row is no update")
