"""What happens from SIGTERM to exit code 0, in this order:

1. `Shutdown.begin`: new streams get a 503, or with `LEAVE` go to the other workers;
   every answer is the last of its connection. Updates and publishes go on.
2. `Shutdown._run`: the open streams end one after the other
   (`RealtimeService.drain`), the listener is closed, idle connections are closed.
3. uvicorn's own shutdown waits for what is still being answered, and ends the ASGI
   lifespan (`hosting.Lifespan`), which stops the service: the outbox is stored or
   handed over, NATS is left (`RealtimeService.stop`).
4. `Server.run_on` returns, and so does `manage.py serve`.

A supervisor (`supervisor.py`) sends SIGTERM to each worker and waits for all of them.
"""

import asyncio
import signal
from typing import Any, Final, cast

import structlog
import uvicorn

from realtime.http.idle_connections import close_idle, linger
from realtime.lifecycle import Phase
from realtime.server.accepting import Acceptor
from realtime.server.protocol import StreamProtocol
from realtime.server.signals import LEAVE, terminal
from realtime.server.worker import Worker
from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

CLOSING_SECONDS: Final = 0.25
"""Before the listener is closed: whoever was told by `/livez` that this process can be
reached has connected by then, and whoever asks from now on is not told so."""

ACCEPTED_SECONDS: Final = 0.5
"""After the listener was handed over: for connections that the event loop accepts in
the same turn, and that are not among the server's yet."""


class Shutdown:
    """Drains `service` before `server` stops; `worker` is its place among others.

    On the first SIGTERM or SIGINT the listener stays open while the streams end, so
    that `/readyz` can tell a load balancer to go elsewhere; on `LEAVE` it is closed
    first, because other workers listen on the port. Each connection is closed with the
    answer that is under way or with its next one, or when it has been quiet for a
    while, so that the client's next request reaches a process that stays. A second
    SIGINT ends all streams at once.
    """

    def __init__(
        self, server: uvicorn.Server, service: RealtimeService, worker: Worker | None
    ) -> None:
        self._server = server
        self._service = service
        self._worker = worker
        self._running: asyncio.Task[None] | None = None
        self._accepted_until = 0.0

    def handle_signals(self) -> None:
        """Begin on a signal from now on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.begin)
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        loop.add_signal_handler(LEAVE, self._on_leave)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def begin(self) -> None:
        """Turn new streams away, and end what is open in the background."""
        if self._running is not None:
            return
        if self._worker is not None:
            self._worker.may_listen.set()
        self._service.begin_drain()
        for connection in self._connections():
            connection.close_after_answer()
        self._service.keep_running(
            "idle-connections",
            close_idle(self._idle_connections, StreamProtocol.close_idle),
        )
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        await self._service.drain()
        await asyncio.sleep(self._accepted_until - asyncio.get_running_loop().time())
        if not self._service.lifecycle.others_listen:
            self._service.lifecycle.phase = Phase.CLOSING
            await asyncio.sleep(CLOSING_SECONDS)
            for acceptor in self._acceptors():
                acceptor.accept_waiting()  # closing would reset who waits there
                acceptor.close()
        await linger(self._idle_connections)
        # Those that came meanwhile, where they were not turned away.
        self._service.hub.end_all_now()
        if self._worker is not None:
            # While this process still answers on NATS: at no moment does nobody answer
            # for what it has counted.
            self._worker.leaves()
        # uvicorn's own handling of signals would wait for streams that never end, and
        # raise the signal again afterwards, which is no exit code 0.
        self._server.should_exit = True

    def _on_leave(self) -> None:
        for acceptor in self._acceptors():
            acceptor.close()
        loop = asyncio.get_running_loop()
        self._accepted_until = loop.time() + ACCEPTED_SECONDS
        self._service.lifecycle.others_listen = True
        self.begin()

    def _on_interrupt(self) -> None:
        if self._running is not None:
            self._service.hub.end_all_now()
        self.begin()

    def _on_hangup(self) -> None:
        if terminal.was_closed():
            self.begin()
        elif self._worker is None:
            logger.warning(
                "server.not_replaced",
                reason="SIGHUP is for `serve --workers`: alone, nothing could take "
                "over the streams",
            )

    def _acceptors(self) -> list[Acceptor]:
        return cast("list[Any]", self._server.servers)

    def _connections(self) -> set[StreamProtocol]:
        return set(cast("set[Any]", self._server.server_state.connections))

    def _idle_connections(self) -> set[StreamProtocol]:
        return {connection for connection in self._connections() if connection.idle}
