"""uvicorn, hosting the service in this process."""

import asyncio
import os
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import structlog
import uvicorn

from realtime.server import garbage
from realtime.server.protocol import StreamProtocol
from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

KEEP_ALIVE_SECONDS: Final = 75
"""An idle connection is kept for longer than a load balancer keeps it (60 s is usual),
so that the one to close it is never the one that was just sent a request."""

GRACE_SECONDS: Final = 3
"""After the drain: for what is still being answered."""


class Server(uvicorn.Server):
    """A uvicorn server that drains the service before it stops.

    On the first SIGTERM or SIGINT the listener stays open while the streams end, so
    that `/readyz` can tell a load balancer to go elsewhere; a second SIGINT stops at
    once. uvicorn's own handling would wait for streams that never end, and raise the
    signal again afterwards, which is no exit code 0.
    """

    def __init__(self, application: Any, service: RealtimeService) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=StreamProtocol,
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
        self._stopping: asyncio.Task[None] | None = None

    def run_on(self, listener: socket.socket) -> None:
        """Serve on `listener` until stopped by a signal."""
        garbage.tune()
        self.run(sockets=[listener])
        logger.info("server.stopped")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            logger.info("server.started", host=host, port=port, pid=os.getpid())

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        yield

    def _on_signal(self) -> None:
        if self._stopping is None:
            self._service.begin_drain()
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        else:
            self.should_exit = self.force_exit = True

    async def _stop(self) -> None:
        await self._service.drain()
        self.should_exit = True
