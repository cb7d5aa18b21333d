"""A subscriber over ASGI's `send`, for any server."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import structlog

from realtime import metrics
from realtime.http.asgi import Message, Send
from realtime.http.eager_coroutine import resume
from realtime.sse.frames import KEEPALIVE, Frame
from realtime.sse.subscriber import Subscriber

logger = structlog.get_logger("sse")

_Sending = Coroutine[Any, Any, None]


class AsgiSubscriber(Subscriber):
    """Steps the server's `send()` coroutine itself.

    It nearly always finishes without suspending, and then a write costs neither a task
    nor a turn of the event loop. Only where the server applies back-pressure is the
    rest handed to a task; until that is done, just the newest frame is kept.
    """

    __slots__ = ("_ending", "_send", "_task", "_waiting")

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._waiting: Frame | None = None
        self._ending = False

    def start(self, frame: Frame) -> None:
        """Send the first frame: through the server, which may have kept the response's
        head to send it along."""
        self._step(frame.body)

    def write(self, frame: Frame) -> None:
        if self._task is not None:
            if self._waiting is not None:
                metrics.skipped_total.inc()
            self._waiting = frame
        else:
            self._step(frame.body)

    def keepalive(self) -> None:
        if self._task is None:
            self._step(KEEPALIVE.body)

    def end(self) -> None:
        self._ending = True
        if self._task is None:
            self._step(b"")

    def abort(self) -> None:
        # ASGI has no way to close a connection whose client does not read. If it ever
        # reads again, it is to find that the stream has ended.
        self._waiting = None
        self.end()

    def _step(self, body: bytes) -> None:
        # In every server it is an `async def`.
        sending = cast(_Sending, self._send(_body_message(body)))
        try:
            awaited = sending.send(None)
        except StopIteration:
            return
        except Exception as error:
            self._failed(error)
            return
        loop = asyncio.get_running_loop()
        self.lagging_since = loop.time()
        metrics.lagging_subscribers.inc()
        self._task = loop.create_task(self._catch_up(sending, awaited))

    async def _catch_up(self, sending: _Sending, awaited: object) -> None:
        """Finish a suspended `send()`, then send what came meanwhile."""
        try:
            await resume(sending, awaited)
            while (frame := self._waiting) is not None:
                self._waiting = None
                await self._send(_body_message(frame.body))
        except Exception as error:
            self._failed(error)
        finally:
            self._task = self.lagging_since = None
            metrics.lagging_subscribers.dec()
        if self._ending:
            self._step(b"")

    def _failed(self, error: Exception) -> None:
        # Servers differ in how they say that a client has gone; the consumer hears of
        # it by `http.disconnect` and cleans up.
        logger.debug("stream.write_failed", error=repr(error))


def _body_message(body: bytes) -> Message:
    """The next part of the response; an empty one ends it."""
    return {"type": "http.response.body", "body": body, "more_body": bool(body)}
