"""The connection on which a Django process publishes: one, whatever the number of its
threads and event loops."""

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future
from typing import Final, cast

from realtime.backoff import jittered
from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable, PublishFailed, RealtimeError
from realtime.jetstream.connection import close, connect
from realtime.jetstream.publisher import Publisher
from realtime.updates import Update

RETRY_SECONDS: Final = 0.1
"""Between two attempts, give or take half."""

CLOSE_SECONDS: Final = 1.0
"""A process that ends waits no longer for its connection to close."""

_ENDS: Final = "This process ends, and publishes nothing any more."


class ProcessPublisher:
    """Publishes on one connection, on an event loop in a thread of its own. Connects
    when it is first needed, and again whenever the connection was lost.

    Raises `NatsUnavailable` if there is no thread to be had: the interpreter ends.
    """

    def __init__(self, settings: RealtimeSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = False
        self._publishing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._connection: asyncio.Task[Publisher] | None = None
        self._leaving: asyncio.Task[None] | None = None
        # A daemon: whoever waits for an update keeps the process alive.
        self._thread = threading.Thread(
            target=self._run, name="realtime-publisher", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            self._loop.close()
            raise NatsUnavailable(_ENDS) from error

    def publish(self, update: Update, seconds: float) -> "Future[None]":
        """Done once JetStream has stored `update`, within `seconds`; fails with
        `NatsUnavailable` or `PublishFailed`. From any thread.

        Raises `NatsUnavailable` once it has been closed.
        """
        with self._lock:
            if self._closed:
                raise NatsUnavailable(_ENDS)
            publishing = self._publish(update, seconds)
            return asyncio.run_coroutine_threadsafe(publishing, self._loop)

    def close(self) -> None:
        """Leave NATS and end the thread; nothing can be published afterwards, and what
        waits for its confirmation fails."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        await self._closing.wait()
        waiting = list(self._publishing)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._connection is not None and not self._connection.done():
            self._connection.cancel()
            await asyncio.wait([self._connection], timeout=CLOSE_SECONDS)
        if publisher := self._standing():
            await close(publisher.client)

    async def _publish(self, update: Update, seconds: float) -> None:
        task = cast(asyncio.Task[None], asyncio.current_task())
        self._publishing.add(task)
        try:
            await self._try_until(update, self._loop.time() + seconds)
        except asyncio.CancelledError:
            if self._closing.is_set():
                raise PublishFailed(_ENDS) from None
            raise
        finally:
            self._publishing.discard(task)

    async def _try_until(self, update: Update, deadline: float) -> None:
        error: RealtimeError = NatsUnavailable("NATS was not reached in time.")
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    try:
                        publisher = await self._connected()
                        error = PublishFailed("The update was not confirmed in time.")
                        return await publisher.publish(update, deadline)
                    except NatsUnavailable as unavailable:
                        # Not stored, or so it seems: twice is better than not at all.
                        error = unavailable
                        await asyncio.sleep(jittered(RETRY_SECONDS))
        except TimeoutError:
            self._leave()
            raise error from None

    def _leave(self) -> None:
        """Have the next update make a new connection: a server that does not confirm
        may be cut off from its cluster, and keep its clients all the same."""
        if publisher := self._standing():
            self._connection = None
            self._leaving = self._loop.create_task(close(publisher.client))

    async def _connected(self) -> Publisher:
        """The publisher of a connection that stands. Raises `NatsUnavailable`."""
        if publisher := self._standing():
            return publisher
        if self._connection is None or self._connection.done():
            self._connection = self._loop.create_task(self._connect())
        # Who gives up waiting does not stop it: others wait for the same.
        return await asyncio.shield(self._connection)

    async def _connect(self) -> Publisher:
        client = await connect(self._settings)
        try:
            return await Publisher.on(client)
        except BaseException:  # a cancellation, too
            await close(client)
            raise

    def _standing(self) -> Publisher | None:
        """The publisher of the connection, if that was made and is usable now."""
        made = self._connection
        if made is None or not made.done() or made.cancelled() or made.exception():
            return None
        return made.result() if made.result().client.is_connected else None


_lock = threading.Lock()
_publisher: ProcessPublisher | None = None
_inherited: list[ProcessPublisher] = []


def process_publisher() -> ProcessPublisher:
    """This process's publisher, as Django's settings configure it. Raises
    `NatsUnavailable` if the interpreter ends."""
    global _publisher
    with _lock:
        if _publisher is None:
            settings = RealtimeSettings.from_django(hosting=False)
            _publisher = ProcessPublisher(settings)
        return _publisher


def _at_exit() -> None:
    if _publisher is not None:
        _publisher.close()


def _after_fork() -> None:
    """A forked process has neither the thread nor a connection of its own. What it has
    inherited is kept, because to destroy it would reach into the parent's."""
    global _lock, _publisher
    _lock = threading.Lock()
    if _publisher is not None:
        _inherited.append(_publisher)
        _publisher = None


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
