"""The services under test."""

import os
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.support.service import Service, running_service


class Instance:
    """One service on a port that it keeps; `server` is as in `tests.support.service`.

    It runs with a keep-alive of 2 s and rejections held for 1 s, so that faults can
    follow each other quickly, and tells what is in its processes. With `on_disk`, it
    keeps on disk what it cannot store.
    """

    def __init__(
        self, server: str, nats_url: str, folder: Path, *, on_disk: bool = False
    ) -> None:
        self.server = server
        self._nats_url = nats_url
        self._folder = folder
        self._outbox = folder / f"outbox-{server}"
        self.on_disk = on_disk
        self._address = "127.0.0.1:0"
        self._running = ExitStack()
        self.service: Service
        self.killed = 0
        """How many of its workers were killed."""

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.service = self._running.enter_context(
            running_service(
                self.server,
                self._nats_url,
                self._folder,
                LISTEN_ADDR=self._address,
                DJANGO_SETTINGS_MODULE="tests.support.introspection",
                SSE_KEEPALIVE_SECONDS="2",
                SSE_REJECT_DELAY_SECONDS="1",
                NATS_STREAM_REPLICAS=str(self._nats_url.count(",") + 1),
                SSE_OUTBOX_FOLDER=str(self._outbox) if self.on_disk else "",
            )
        )
        self._address = f"127.0.0.1:{self.service.port}"
        self.service.await_ready()

    def stop(self) -> None:
        """Stop it by SIGTERM; it must have logged no error and exit with 0."""
        self._running.close()

    def kill(self) -> None:
        """Kill all of its processes, as `kill -9` does."""
        self.service.kill_all()
        self._running.close()
        self.killed = 0

    def pids(self) -> list[int]:
        """The processes that serve."""
        return self.service.running_workers() or [self.service.process.pid]

    def descriptors(self) -> int:
        """How many files they have open; but for the database of what they keep, which
        stays open from the first time that they keep something."""
        files = [
            file for pid in self.pids() for file in Path(f"/proc/{pid}/fd").iterdir()
        ]
        return sum(_is_counted(file, self._outbox) for file in files)

    def memory(self) -> int:
        """Their resident memory in kB."""
        total = 0
        for pid in self.pids():
            status = Path(f"/proc/{pid}/status").read_text()
            [line] = [x for x in status.splitlines() if x.startswith("VmRSS:")]
            total += int(line.split()[1])
        return total


def _is_counted(file: Path, outbox: Path) -> bool:
    """Whether it is open still, and not in the folder `outbox`."""
    with suppress(FileNotFoundError):
        return not os.readlink(file).startswith(str(outbox))
    return False
