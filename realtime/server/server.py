"""uvicorn, hosting the service in this process."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import structlog
import uvicorn

from realtime.fleet.history.minutes import Past
from realtime.http.idle_connections import close_idle, linger
from realtime.http.tcp import wait_for_vanished
from realtime.lifecycle import Phase
from realtime.server import garbage_collection, messages
from realtime.server.accepting import Acceptor
from realtime.server.connections import Connections
from realtime.server.protocol import StreamProtocol
from realtime.server.send_buffers import bound_send_buffers
from realtime.server.signals import terminal
from realtime.server.stream_openings import Openings
from realtime.server.supervisor_link import LEAVE, WorkerLifeline
from realtime.service import EXIT_CODE, RealtimeService

logger = structlog.get_logger("sse")

KEEP_ALIVE_SECONDS: Final = 75
"""An idle connection is kept for longer than a load balancer keeps it (60 s is usual),
so that the one to close it is never the one that was just sent a request."""

GRACE_SECONDS: Final = 3
"""After the drain: for what is still being answered."""

REMEMBERED_IN_A_MINUTE: Final = 12
"""How often a worker tells its supervisor what it has counted: if it is killed, the
last few seconds are lost."""

CLOSING_SECONDS: Final = 0.25
"""Before the listener is closed: whoever was told by `/livez` that this process can be
reached has connected by then, and whoever asks from now on is not told so."""

ACCEPTED_SECONDS: Final = 0.5
"""After the listener was handed over: for connections that the event loop accepts in
the same turn, and that are not among the server's yet."""


class Server(uvicorn.Server):
    """A uvicorn server that drains the service before it stops.

    On the first SIGTERM or SIGINT the listener stays open while the streams end, so
    that `/readyz` can tell a load balancer to go elsewhere; on `LEAVE` it is closed
    first, because other workers listen on the port. Each connection is closed with the
    answer that is under way or with its next one, or when it has been quiet for a
    while, so that the client's next request reaches a process that stays. A second
    SIGINT ends all streams at once. uvicorn's own handling would wait for streams that
    never end, and raise the signal again afterwards, which is no exit code 0.
    """

    def __init__(
        self,
        application: Any,
        service: RealtimeService,
        lifeline: WorkerLifeline | None = None,
    ) -> None:
        watched = Connections()
        protocol: Any = partial(
            StreamProtocol, connections=watched, openings=Openings()
        )
        super().__init__(
            uvicorn.Config(
                application,
                http=protocol,
                loop="uvloop",
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                # Nothing here asks who the client is.
                proxy_headers=False,
                interface="asgi3",
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._watched = watched
        self._service = service
        self._lifeline = lifeline
        self._stopping: asyncio.Task[None] | None = None
        self._leaves = False
        self._accepted_until = 0.0
        self._may_listen = asyncio.Event()

    def run_on(self, listener: socket.socket) -> None:
        """Serve on `listener` until stopped by a signal, by the supervisor's death, or
        by the service's own, which raises `SystemExit`."""
        garbage_collection.tune()
        wait_for_vanished(listener, self._service.settings.vanished)
        self._service.addresses.reached_at = listener.getsockname()[:2]
        self.run(sockets=[listener])
        logger.info("server.stopped")
        if self._service.lifecycle.died:
            sys.exit(EXIT_CODE)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._lifeline is not None:
            await self._take_place(self._lifeline)
        await super().startup([])
        for listener in sockets or []:
            self._accept_on(listener)
            host, port = listener.getsockname()[:2]
            logger.info("server.started", host=host, port=port, pid=os.getpid())
        connections: Any = self.server_state.connections
        settings = self._service.settings
        most = settings.backlog_megabytes * 1024 * 1024
        self._service.keep_running(
            "send-buffers", bound_send_buffers(connections, settings.keepalive, most)
        )
        self._service.keep_running("connections", self._watched.watch(connections))
        if self._lifeline is not None:
            self._lifeline.listening()
            self._service.keep_running("remembered", self._be_remembered())

    def _accept_on(self, listener: socket.socket) -> None:
        """What uvicorn's own start-up does with asyncio's server."""
        protocol: Any = self.config.http_protocol_class
        factory = partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        acceptor: Any = Acceptor(
            listener,
            factory,
            lambda: len(self.server_state.connections),
            self._watched.make_room,
        )
        self.servers.append(acceptor)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self._lifeline is not None:
            self._remember(self._lifeline)
            await self._lifeline.close()

    async def _take_place(self, lifeline: WorkerLifeline) -> None:
        """Start beside the other workers; returns when this one is to listen."""
        await lifeline.attach(self)
        self._service.lifecycle.supervisor = lifeline
        self._service.start()
        ready = asyncio.ensure_future(self._service.await_ready())
        ready.add_done_callback(lambda _: self._may_listen.set())
        await self._may_listen.wait()
        ready.cancel()

    def not_ready(self) -> str | None:
        """What the supervisor is told of readiness."""
        refusal = self._service.not_ready
        return refusal.detail if refusal else None

    def listen_within(self, seconds: float) -> None:
        """Listen after so many seconds, whether streams can be served or not."""
        asyncio.get_running_loop().call_later(seconds, self._may_listen.set)

    def inherit(self, past: Past) -> None:
        """Tell of the last hour of workers that have ended."""
        self._service.recorder.past = past

    def stay(self) -> None:
        """There is no other worker to take this one's place."""
        self._service.lifecycle.stay()

    def worker_died(self, died: messages.Died) -> None:
        """For what the fleet is told of what happened."""
        self._service.event_recorder.worker_died(
            died.worker, died.pid, died.reason, died.at
        )

    def supervisor_died(self) -> None:
        """Nobody would start another: drain and end."""
        self._begin_stop()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._begin_stop)
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        loop.add_signal_handler(LEAVE, self._leave)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        yield

    def _on_hangup(self) -> None:
        if terminal.was_closed():
            self._begin_stop()
        elif self._lifeline is None:
            logger.warning(
                "server.not_replaced",
                reason="SIGHUP is for `serve --workers`: alone, nothing could take "
                "over the streams",
            )

    def _leave(self) -> None:
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        self._accepted_until = loop.time() + ACCEPTED_SECONDS
        self._service.lifecycle.others_listen = True
        self._begin_stop()

    def _on_interrupt(self) -> None:
        if self._stopping is not None:
            self._service.hub.end_all_now()
        self._begin_stop()

    def _begin_stop(self) -> None:
        self._may_listen.set()
        if self._stopping is None:
            self._service.begin_drain()
            for connection in self._connections():
                connection.close_after_answer()
            self._service.keep_running(
                "idle-connections",
                close_idle(self._idle_connections, StreamProtocol.close_idle),
            )
            self._stopping = asyncio.get_running_loop().create_task(self._stop())

    def _stop_listening(self) -> None:
        """Close the listener, and serve whoever waits there."""
        for server in self.servers:
            acceptor: Any = server
            acceptor.accept_waiting()
            acceptor.close()

    def _connections(self) -> set[StreamProtocol]:
        connections: Any = self.server_state.connections
        return set(connections)

    def _idle_connections(self) -> set[StreamProtocol]:
        return {c for c in self._connections() if c.idle}

    async def _stop(self) -> None:
        await self._service.drain()
        await asyncio.sleep(self._accepted_until - asyncio.get_running_loop().time())
        if not self._service.lifecycle.others_listen:
            self._service.lifecycle.phase = Phase.CLOSING
            await asyncio.sleep(CLOSING_SECONDS)
            self._stop_listening()
        await linger(self._idle_connections)
        # Those that came meanwhile, where they were not turned away.
        self._service.hub.end_all_now()
        if self._lifeline is not None:
            # While this process is still heard on NATS: there is no moment in which
            # nobody tells what it has counted.
            self._leaves = True
            self._remember(self._lifeline)
        self.should_exit = True

    async def _be_remembered(self) -> None:
        """For ever: a process that is killed says nothing any more."""
        while self._lifeline is not None:
            self._remember(self._lifeline)
            await asyncio.sleep(self._service.recorder.seconds / REMEMBERED_IN_A_MINUTE)

    def _remember(self, lifeline: WorkerLifeline) -> None:
        try:
            instance, state = self._service.instance, self._service.recorder.state()
            lifeline.remember(instance, state, leaves=self._leaves)
        except Exception:
            # A history is no reason for a server to end.
            logger.exception("history.failed")
