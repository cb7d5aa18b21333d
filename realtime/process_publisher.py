"""The connection on which a Django process publishes: one, whatever the number of its
threads and event loops."""

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future
from typing import Any, Final

from realtime.backoff import jittered
from realtime.conf import RealtimeSettings
from realtime.environments import subject_of
from realtime.exceptions import NatsUnavailable, PublishFailed, RealtimeError
from realtime.jetstream.client import FastClient
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
        self._publishing: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._connection: asyncio.Task[tuple[FastClient, Publisher]] | None = None
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

    def publish(
        self, environment: str, update: Update, seconds: float
    ) -> "Future[None]":
        """Done once JetStream has stored `update`, within `seconds`; fails with
        `NatsUnavailable` or `PublishFailed`. From any thread.

        Raises `NatsUnavailable` once it has been closed.
        """
        with self._lock:
            if self._closed:
                raise NatsUnavailable(_ENDS)
            coroutine = self._publish_unless_closed(environment, update, seconds)
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

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
        if self._connection is None:
            return
        if not self._connection.done():
            self._connection.cancel()
            await asyncio.wait([self._connection], timeout=CLOSE_SECONDS)
        if _stands(self._connection):
            client, _ = self._connection.result()
            await close(client)

    async def _publish_unless_closed(
        self, environment: str, update: Update, seconds: float
    ) -> None:
        publishing = self._loop.create_task(self._publish(environment, update, seconds))
        self._publishing.add(publishing)
        try:
            await publishing
        except asyncio.CancelledError:
            if self._closing.is_set():
                raise PublishFailed(_ENDS) from None
            raise
        finally:
            self._publishing.discard(publishing)
            publishing.cancel()

    async def _publish(self, environment: str, update: Update, seconds: float) -> None:
        deadline = self._loop.time() + seconds
        error: RealtimeError = NatsUnavailable("NATS was not reached in time.")
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    try:
                        publisher = await self._connected()
                        error = PublishFailed("The update was not confirmed in time.")
                        await publisher.publish(
                            subject_of(environment),
                            update.payload(),
                            deadline,
                            dated=update.dated,
                        )
                        return
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
        if self._connection is not None and _stands(self._connection):
            client, _ = self._connection.result()
            self._connection = None
            self._leaving = self._loop.create_task(close(client))

    async def _connected(self) -> Publisher:
        """The publisher of a connection that stands. Raises `NatsUnavailable`."""
        connection = self._connection
        if connection is None or (connection.done() and not _stands(connection)):
            connection = self._connection = self._loop.create_task(self._connect())
        # Who gives up waiting does not stop it: others wait for the same.
        _, publisher = await asyncio.shield(connection)
        return publisher

    async def _connect(self) -> tuple[FastClient, Publisher]:
        publisher: Publisher | None = None

        async def on_closed() -> None:
            if publisher is not None:
                publisher.fail(NatsUnavailable("The connection to NATS was lost."))

        client = await connect(self._settings, on_closed=on_closed)
        publisher = Publisher(client)
        try:
            await publisher.start()
        except BaseException:  # a cancellation, too
            await close(client)
            raise
        return client, publisher


def _stands(connection: "asyncio.Task[tuple[FastClient, Publisher]]") -> bool:
    """Whether the connection was made and is usable now."""
    if not connection.done() or connection.cancelled() or connection.exception():
        return False
    client, _ = connection.result()
    return client.is_connected


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
