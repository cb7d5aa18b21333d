"""A nats-server that a test can kill, start again, and ask about itself."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from realtime.server.embedded_nats import EmbeddedNats, embedded_nats
from tests.support.waiting import eventually


class NatsServer:
    """One nats-server on a port of loopback that it keeps from start to start.
    `arguments` are added to its command line."""

    def __init__(self, store: Path, *, arguments: Sequence[str] = ()) -> None:
        self._store = store
        self._arguments = arguments
        self._port = -1
        self._running = ExitStack()
        self._server: EmbeddedNats | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    @property
    def monitoring_url(self) -> str | None:
        """None while it has not been started."""
        return self._server.monitoring_url if self._server else None

    def start(self, *, empty: bool = False) -> None:
        """Start it; with `empty`, on a store of its own that holds nothing."""
        if empty:
            self._store = self._store.with_name(self._store.name + "-empty")
        self._server = self._running.enter_context(
            embedded_nats(self._store, port=self._port, arguments=self._arguments)
        )
        self._port = int(self._server.url.rpartition(":")[2])

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        assert self._server is not None
        self._server.process.kill()
        self._server.process.wait()
        self._running.close()

    def signal(self, number: int) -> None:
        assert self._server is not None
        self._server.process.send_signal(number)
        if number == signal.SIGSTOP:
            # Each thread stops in its own time.
            threads = Path(f"/proc/{self._server.process.pid}/task")
            eventually(
                lambda: all(
                    (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
                    for thread in threads.iterdir()
                ),
                what="nats-server to stop",
            )

    def stop(self) -> None:
        self._running.close()

    def stream(self) -> dict[str, Any]:
        """What its monitoring port says of `environments-stream`, its configuration and
        its consumers included."""
        assert self._server is not None
        query = "/jsz?streams=1&config=1&consumers=1"
        answer = requests.get(self._server.monitoring_url + query, timeout=5)
        accounts = answer.json()["account_details"]
        [stream] = [
            stream
            for account in accounts
            for stream in account["stream_detail"]
            if stream["name"] == "environments-stream"
        ]
        found: dict[str, Any] = stream
        return found

    def connections(self) -> list[dict[str, Any]]:
        """What its monitoring port says of the connections that are open."""
        assert self._server is not None
        answer = requests.get(self._server.monitoring_url + "/connz", timeout=5)
        found: list[dict[str, Any]] = answer.json()["connections"]
        return found
