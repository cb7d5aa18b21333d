"""The bridge between JetStream and the hub, a Channels background worker: one session
after the other, each on one connection, whatever the number of subscribers."""

import asyncio
import os
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from channels.worker import Worker

from realtime import metrics
from realtime.backoff import jittered
from realtime.conf import RealtimeSettings
from realtime.exceptions import (
    NatsUnavailable,
    Overtaken,
    PublishFailed,
    RealtimeError,
)
from realtime.jetstream.api import StoredMessage, find_message
from realtime.jetstream.client import FastClient
from realtime.jetstream.connection import connect, describe
from realtime.jetstream.delivery_watch import Backlog
from realtime.jetstream.outage import Outage
from realtime.jetstream.session import Reading, Session
from realtime.jetstream.stream_keeper import StreamKeeper
from realtime.jetstream.subjects import STREAM, subject_of
from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from realtime.updates import Update

logger = structlog.get_logger("sse")

FIRST_DELAY: Final = 0.25
MAX_DELAY: Final = 2.0
"""Seconds between two sessions, give or take half; doubled from one failure to the next
until a session has worked."""


class NatsBridge(Worker):
    """Reads updates from JetStream into `hub`, and publishes to JetStream.

    It is a `channels.worker.Worker` whose source is JetStream instead of a channel
    layer, and listens to one "channel", the stream. What it calls is set from outside:
    it does not know who that is.
    """

    def __init__(self, settings: RealtimeSettings, hub: Hub) -> None:
        application: Any = None  # nothing is routed: the bridge feeds the hub itself
        source: Any = self
        super().__init__(application, channels=[STREAM], channel_layer=source)
        self._settings = settings
        self._hub = hub
        self.on_connected: Callable[[FastClient], Awaitable[None]] = _nothing
        """Called with each connection before it is used; may raise
        `NatsUnavailable`."""
        self.on_disconnected: Callable[[], None] = lambda: None
        """Called when that connection is about to be closed."""
        self.on_session: Callable[[], None] = lambda: None
        """Called when updates can be stored again."""
        self.on_ready: Callable[[], None] = lambda: None
        """Called when event streams can be served again."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when a session was lost, or could not be had, because of NATS."""
        self.on_update: Callable[[Update, int], None] | None = None
        """Called, if given, with each update that was published since this process
        began to read, and its sequence."""
        self.on_turned_back: Callable[[Latest], None] = lambda latest: None
        """Called with what is told of an environment when the stream holds an earlier
        time than that."""
        host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
        # Host and process are for people: containers may share both.
        self.consumer_name = f"sse-{host}-{os.getpid()}-{secrets.token_hex(3)}"
        self.stream = StreamKeeper(settings)
        self.backlog = Backlog()
        self.outage = Outage()
        self._reading = Reading(
            self.consumer_name, self.stream, self.backlog, self.outage
        )
        self._session: Session | None = None
        self.server: str | None = None
        """The NATS server of the current session."""
        self._last_server: str | None = None
        self._was_ready = False
        """Whether the last session got as far as serving event streams."""
        self._connected_before = False
        self.last_error: tuple[str, float] | None = None
        """What went wrong last, and when (Unix seconds)."""

    async def handle(self) -> None:
        """Run one session after the other, until cancelled."""
        delay = FIRST_DELAY
        while True:
            try:
                await self.run_session()
            except RealtimeError as error:
                self._note_error(error)
                if isinstance(error, NatsUnavailable):
                    self.on_lost()
                logger.warning("bridge.interrupted", reason=str(error))
            except Exception as error:
                self._note_error(error)
                metrics.bridge_restarts_total.inc()
                logger.exception("bridge.failed")
            if self._was_ready:
                delay = FIRST_DELAY
            await asyncio.sleep(jittered(delay))
            delay = min(delay * 2, MAX_DELAY)

    async def run_session(self) -> None:
        """Connect, and read until something breaks.

        Raises `NatsUnavailable` or `StreamIncompatible`.
        """
        self._was_ready = False
        client = await self._connect()
        # Before what is being published fails for it: then the outage begins.
        client.on_closed(lambda _: self.outage.session_ended())
        session = Session(
            client,
            self._hub,
            self._reading,
            on_caught_up=self._on_caught_up,
            on_turned_back=self.on_turned_back,
            on_update=self.on_update,
        )
        try:
            self.server = self._last_server = client.server
            await self.on_connected(client)
            await session.open()
            self._session = session
            self.outage.session_began()
            self.on_session()
            logger.info("nats.connected", server=self.server, resumed=session.resumes)
            await session.read()
        finally:
            if self._session is not None:
                lost = NatsUnavailable("The connection to NATS was lost.")
                self._session.publisher.fail(lost)
            self._session = self.server = None
            self.outage.session_ended()
            metrics.nats_connected.set(0)
            self.on_disconnected()
            await session.close()

    async def publish(
        self, update: Update, deadline: float, *, after: int | None = None
    ) -> None:
        """Store `update`; returns once JetStream has confirmed it. The arguments and
        what it raises are as in `Publisher.publish`."""
        asked_at = time.monotonic()
        try:
            await self._open_session.publisher.publish(update, deadline, after=after)
        except Overtaken:
            self.outage.published(asked_at)
            raise
        except (NatsUnavailable, PublishFailed) as error:
            self.outage.publish_failed()
            metrics.nats_errors["publish"].inc()
            self._note_error(error)
            raise
        self.outage.published(asked_at)

    async def last_stored(self, environment: str) -> StoredMessage | None:
        """The last message of `environment` in the stream. Raises `NatsUnavailable`,
        which `PermissionDenied` is."""
        client = self._open_session.client
        return await find_message(client, last_by_subj=subject_of(environment))

    @property
    def has_session(self) -> bool:
        """Whether updates can be stored, as far as the connection goes."""
        return self._session is not None

    @property
    def not_ready(self) -> str | None:
        """Why updates do not flow now; None if they do."""
        if self._session is None:
            return self.backlog.stalled or "NATS is not connected."
        if not self._session.caught_up:
            return self.backlog.stalled or "The latest updates have not been read yet."
        return None

    @property
    def publish_refused(self) -> str | None:
        """Why NATS refuses what this process publishes; None if it does not."""
        return self._session.publisher.refused if self._session else None

    @property
    def sequence(self) -> int:
        """The stream's sequence that was read last; 0: none yet."""
        reached = self._reading.reached
        return reached[0] if reached else 0

    @property
    def _open_session(self) -> Session:
        """Raises `NatsUnavailable` if there is none."""
        if self._session is None:
            raise NatsUnavailable("NATS is not connected.")
        return self._session

    async def _connect(self) -> FastClient:
        # The last server is the last resort, once: the others may be worse.
        last_resort, self._last_server = self._last_server, None
        try:
            return await connect(self._settings, last_resort=last_resort)
        except NatsUnavailable:
            metrics.nats_errors["connect"].inc()
            raise

    def _on_caught_up(self) -> None:
        self._was_ready = True
        self.outage.caught_up()
        metrics.nats_connected.set(1)
        if self._connected_before:
            metrics.nats_reconnects_total.inc()
        self._connected_before = True
        metrics.consumer_lag.set(0)
        self.on_ready()

    def _note_error(self, error: Exception) -> None:
        self.last_error = describe(error), time.time()


async def _nothing(client: FastClient) -> None:
    """Nobody else uses the connection."""
