"""What dead processes left in the outbox's folder, and disks that do not do as they are
told."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from realtime.intake.outbox import Outbox
from realtime.intake.outbox_folder import OutboxFolder
from realtime.updates import Update, parse_update
from tests.support.waiting import eventually_async


async def leave(folder: Path, update: Update) -> None:
    """Leave behind what a process leaves that is killed."""
    outbox = Outbox(10)
    left = OutboxFolder(folder, outbox)
    outbox.keep(update, None, reason="away")
    await left.close()


def spoil(path: Path, how: str) -> None:
    """Make a file of the folder that no process wrote."""
    if how == "no database":
        path.write_bytes(b"not a database" * 100)
    elif how == "folder":
        path.mkdir()
    else:
        columns = "environment, updated_at, dated, sequence, stored_at, since"
        row = {
            "other columns": ("environment, more", "'a', 1"),
            "no update": (columns, "'a', 'soon', 1, NULL, NULL, 1.0"),
            "no environment": (columns, "'a b', '1', 0, NULL, NULL, 1.0"),
        }[how]
        with sqlite3.connect(path) as database:
            database.execute(f"CREATE TABLE kept ({row[0]})")
            database.execute(f"INSERT INTO kept VALUES ({row[1]})")  # noqa: S608  ours
        database.close()


@pytest.mark.parametrize(
    "how",
    ["no database", "folder", "other columns", "no update", "no environment"],
)
async def test_take_over__file_that_is_none__others_are_taken_over_all_the_same(
    tmp_path: Path, how: str
) -> None:
    # Given: in whatever order they are found
    for name in ("0", "m", "z"):
        spoil(tmp_path / f"outbox-{name}.sqlite3", how)
    for number in range(3):
        await leave(tmp_path, Update(f"left-{number}", "1"))
    outbox = Outbox(10)
    folder = OutboxFolder(tmp_path, outbox)

    # When
    with capture_logs() as logs:
        taking_over = asyncio.create_task(folder.take_over())
        await eventually_async(lambda: len(outbox) == 3, what="three to be taken over")
        await asyncio.wait([taking_over], timeout=0.1)

    # Then: nothing is wrong with what this process writes
    assert {one.update.environment for one in outbox.waiting} == {
        f"left-{number}" for number in range(3)
    }
    assert folder.fault is None
    assert not taking_over.done()
    unusable = [e["file"] for e in logs if e["event"] == "outbox.unreadable"]
    assert len(unusable) == (0 if how == "folder" else 3)
    taking_over.cancel()
    await folder.close()


async def test_take_over__two_processes_left_updates_of_one_environment__the_newer(
    tmp_path: Path,
) -> None:
    # Given
    newest = parse_update("a", b'{"updated_at":"2026-01-31T12:00:09Z"}')
    for second in (3, 9, 5):
        text = b'{"updated_at":"2026-01-31T12:00:%02dZ"}' % second
        await leave(tmp_path, parse_update("a", text))
    outbox = Outbox(10)
    folder = OutboxFolder(tmp_path, outbox)

    # When
    taking_over = asyncio.create_task(folder.take_over())
    await eventually_async(
        lambda: len(list(tmp_path.glob("*.sqlite3"))) == 1, what="all to be taken over"
    )

    # Then
    assert [one.update for one in outbox.waiting] == [newest]
    taking_over.cancel()
    await folder.close()


async def test_saved__disk_hangs__waited_for_once_and_left_behind_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: no disk can be made to hang here
    released = threading.Event()
    outbox = Outbox(10)
    folder = OutboxFolder(tmp_path, outbox)
    monkeypatch.setattr(folder, "_commit", lambda rows: released.wait())
    loop = asyncio.get_running_loop()
    outbox.keep(Update("a", "1"), None, reason="away")

    # When
    await folder.saved(loop.time() + 0.01)
    outbox.keep(Update("b", "1"), None, reason="away")

    # Then
    assert folder.fault == "the disk does not answer in time"
    async with asyncio.timeout(5):
        await folder.saved(loop.time() + 3600)
        await folder.close()

    # When
    released.set()
    # Then
    await eventually_async(lambda: folder.fault is None, what="the disk to be back")
