"""A PostgreSQL server on a Unix socket, in a folder of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import eventually

USER = "postgres"
START_SECONDS = 30
STOP_SECONDS = 30


def program(name: str) -> str:
    """A program of PostgreSQL's; Debian keeps the server's off the path."""
    found = [*Path("/usr/lib/postgresql").glob(f"*/bin/{name}")]
    return str(max(found)) if found else shutil.which(name) or name


@contextmanager
def running_postgres() -> Iterator[Path]:
    """The folder of its socket. The database and the superuser are called `postgres`.

    What is written need not survive: it does not wait for the disk. PostgreSQL refuses
    to be run by root, who runs it as the user that Debian's package made.
    """
    # Not below pytest's folder, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
        user = {"user": USER, "group": USER, "extra_groups": []}
    data, log = folder / "data", folder / "log"
    try:
        subprocess.run(
            [
                *(program("initdb"), "--pgdata", data, "--username", USER),
                *("--auth", "trust", "--no-sync", "--locale", "C.UTF-8"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
            **user,
        )
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(program("postgres"), "-D", data, "-k", folder),
                    *("-c", "listen_addresses=", "-c", "fsync=off"),
                ],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                **user,
            )
        try:
            eventually(
                lambda: b"ready to accept connections" in log.read_bytes(),
                seconds=START_SECONDS,
                what="PostgreSQL",
            )
            yield folder
        finally:
            process.send_signal(signal.SIGINT)  # clients are cut off
            process.wait(STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
