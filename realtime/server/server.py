"""uvicorn, hosting the service in this process."""

import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import structlog
import uvicorn

from realtime.http.tcp import wait_for_vanished
from realtime.server import garbage_collection
from realtime.server.accepting import Acceptor
from realtime.server.connections import Connections
from realtime.server.protocol import StreamProtocol
from realtime.server.send_buffers import bound_send_buffers
from realtime.server.shutdown import Shutdown
from realtime.server.stream_openings import Openings
from realtime.server.worker import Worker
from realtime.service import EXIT_CODE, RealtimeService

logger = structlog.get_logger("sse")

KEEP_ALIVE_SECONDS: Final = 75
"""An idle connection is kept for longer than a load balancer keeps it (60 s is usual),
so that the one to close it is never the one that was just sent a request."""

GRACE_SECONDS: Final = 3
"""After the drain: for what is still being answered."""


class Server(uvicorn.Server):
    """A uvicorn server that drains the service before it stops (`shutdown.py`). `end`
    is that of the link to the supervisor, where this process is one of several workers.
    """

    def __init__(
        self,
        application: Any,
        service: RealtimeService,
        end: socket.socket | None = None,
    ) -> None:
        self._watched = Connections()
        protocol: Any = partial(
            StreamProtocol, connections=self._watched, openings=Openings()
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
        self._service = service
        self._worker = Worker(end, service) if end is not None else None
        self._shutdown = Shutdown(self, service, self._worker)

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

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        self._shutdown.handle_signals()
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._worker is not None:
            await self._worker.take_place(supervisor_died=self._shutdown.begin)
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
        if self._worker is not None:
            self._worker.listens()

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
        if self._worker is not None:
            await self._worker.close()
