"""The bridge between JetStream and the hub: one connection and one pull consumer per
process, whatever the number of subscribers."""

import asyncio
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import api

from realtime import metrics
from realtime.conf import RealtimeSettings
from realtime.environments import ALL_SUBJECTS, environment_of, subject_of
from realtime.exceptions import (
    InvalidUpdate,
    NatsUnavailable,
    Overtaken,
    PublishFailed,
)
from realtime.fleet.agent import Agent
from realtime.intake.late_publisher import Store
from realtime.jetstream.batched_counter import BatchedCounter
from realtime.jetstream.connection import CLOSE_SECONDS, close, connect, describe
from realtime.jetstream.consumer import PullConsumer
from realtime.jetstream.delivery_watch import Backlog, DeliveryWatch
from realtime.jetstream.follower import follow_stream
from realtime.jetstream.publisher import Publisher, is_dated, published_at
from realtime.jetstream.stream import StreamState, holds_message
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.jetstream.stream_keeper import StreamKeeper
from realtime.sse.broadcaster import OnWritten
from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from realtime.updates import MAX_BODY_BYTES, Update, parse_update

logger = structlog.get_logger("sse")

_DELETION_MARK = b"\r\nNats-Marker-Reason: "


@dataclass(slots=True)
class _Session:
    client: Client
    publisher: Publisher
    state: StreamState
    asked_at: float
    """The event loop's time when `state` was true."""
    announces: bool
    """Whether what is read before it has caught up is new, and not the latest of the
    past that a process reads when it starts."""
    caught_up: bool = False
    failing: bool = False
    """Whether the last publish was not confirmed."""

    def expiry(self, published: float) -> float:
        """When the stream drops what was `published` (Unix seconds by the server's
        clock), as the event loop's time.

        What arrives live was published just now, whatever any clock says.
        """
        if self.caught_up:
            max_age = self.state.max_age or float("inf")
            return asyncio.get_running_loop().time() + max_age
        return self.dropped_at(published)

    def dropped_at(self, published: float) -> float:
        """The same, by the server's clock alone."""
        max_age = self.state.max_age or float("inf")
        return self.asked_at + max_age - (self.state.now - published)


class NatsBridge:
    """Reads updates from JetStream into `hub`, and publishes to JetStream.

    `run` is one session on one connection; `realtime.jetstream.worker` runs one after
    the other. What has been read outlives the session: the next one resumes from the
    sequence that was reached. `agent` answers on each session's connection,
    `on_session` is called when updates can be stored again, `on_ready` when streams can
    be served again, `on_turned_back` with an environment and what is told of it when
    the stream holds an earlier time than that, and `on_update`, if given, with the
    environment, the update and its sequence for each that was published since this
    process began to read.
    """

    def __init__(
        self,
        settings: RealtimeSettings,
        hub: Hub,
        agent: Agent,
        *,
        on_ready: Callable[[], None],
        on_session: Callable[[], None],
        on_turned_back: Callable[[str, Latest], None] = lambda environment, latest: (
            None
        ),
        on_update: Callable[[str, Update, int], None] | None = None,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._agent = agent
        self._on_ready = on_ready
        self._on_session = on_session
        self._on_turned_back = on_turned_back
        self.on_update = on_update
        self.on_lost: Callable[[], None] = lambda: None
        """Called when a session was lost, or could not be had, because of NATS."""
        host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
        # Host and process are for people: containers may share both.
        self.consumer_name = f"sse-{host}-{os.getpid()}-{secrets.token_hex(3)}"
        self._session: _Session | None = None
        self._trouble_since: float | None = time.monotonic()
        # When the stream was last known to take updates (`time.monotonic`).
        self._worked_at = time.monotonic()
        # The last message read: its sequence and its time (ns), which identify it.
        self._reached: tuple[int, int] | None = None
        self._read = BatchedCounter(metrics.updates_total)
        self._seen: set[str] = set()
        self._connected_before = False
        self._left: str | None = None
        self.stream = StreamKeeper(settings)
        self.backlog = Backlog()
        self.was_ready = False
        """Whether the last session got as far as serving streams."""
        self.server: str | None = None
        """The NATS server of the current session."""
        self.last_error: tuple[str, float] | None = None
        """What went wrong last, and when (Unix seconds)."""

    @property
    def sequence(self) -> int:
        """The stream's sequence that was read last; 0: none yet."""
        return self._reached[0] if self._reached else 0

    @property
    def not_ready(self) -> str | None:
        """Why updates do not flow now; None if they do."""
        if self._session is None:
            return self.backlog.stalled or "NATS is not connected."
        if not self._session.caught_up:
            return self.backlog.stalled or "The latest updates have not been read yet."
        return None

    @property
    def out_since(self) -> float | None:
        """Since when nothing can be stored (`time.monotonic`), at the earliest; None:
        it can, for all that is known."""
        working = self._session is not None and not self._session.failing
        return None if working else self._trouble_since

    @property
    def store(self) -> Store | None:
        """Where updates are stored late; None while there is no session."""
        if self._session is None:
            return None
        session = self._session
        return Store(
            session.client, self._session_publish, self._read_of, session.failing
        )

    def _read_of(self, environment: str) -> tuple[tuple[int, int], Update] | None:
        latest = self._hub.latest.of(environment)
        return (latest.identity, latest.update) if latest else None

    async def run(self) -> None:
        """One session: connect, ensure the stream, read until something breaks.

        Raises `NatsUnavailable` or `StreamIncompatible`.
        """
        self.was_ready = False
        consumer: PullConsumer | None = None

        def lose(error: BaseException) -> None:
            if consumer is not None:
                consumer.lose(error)

        async def on_closed() -> None:
            lose(NatsUnavailable("The connection to NATS was lost."))

        def on_followed(following: asyncio.Task[None]) -> None:
            if not following.cancelled() and (error := following.exception()):
                lose(error)

        # Once: the others may be worse.
        last_resort, self._left = self._left, None
        try:
            client = await connect(
                self._settings,
                on_closed=on_closed,
                last_resort=last_resort,
            )
        except NatsUnavailable:
            metrics.nats_errors["connect"].inc()
            raise
        try:
            self.server = self._left = client.server
            await self._agent.join(client)
            asked_at = asyncio.get_running_loop().time()
            state = await self.stream.ensure(client)
            self._worked_at = time.monotonic()
            start = await self._start(client)
            publisher = Publisher(client)
            await publisher.start()
            session = _Session(
                client, publisher, state, asked_at, self._reached is not None
            )
            reread = start.deliver_policy is api.DeliverPolicy.LAST_PER_SUBJECT
            consumer = PullConsumer(
                client,
                self.consumer_name,
                start,
                deliver=partial(self._deliver, session),
                on_caught_up=lambda: self._catch_up(session, reread=reread),
                trusted=self.backlog.stalled is None,
            )
            self._session = session
            self._on_session()
            self._seen.clear()
            logger.info(
                "nats.connected",
                server=self.server,
                resumed=not reread,
            )
            if client.is_closed:
                raise NatsUnavailable("The connection to NATS was lost.")
            following = asyncio.create_task(
                follow_stream(
                    client,
                    self.stream,
                    DeliveryWatch(client, consumer, self.backlog),
                    partial(self._follow, session),
                )
            )
            following.add_done_callback(on_followed)
            try:
                await consumer.run()
            finally:
                following.cancel()
        finally:
            if self._session is not None:
                lost = NatsUnavailable("The connection to NATS was lost.")
                self._session.publisher.fail(lost)
            self._session = self.server = None
            self._begin_trouble(time.monotonic())
            metrics.nats_connected.set(0)
            self._agent.leave()
            await _leave(client, consumer)

    @property
    def publish_refused(self) -> str | None:
        """Why NATS refuses what this process publishes; None if it does not."""
        return self._session.publisher.refused if self._session else None

    def note_error(self, error: Exception) -> None:
        """Remember what went wrong last."""
        self.last_error = describe(error), time.time()

    async def publish(self, environment: str, update: Update, deadline: float) -> None:
        """Store `update`; returns once JetStream has confirmed it.

        `deadline` is the event loop's time at which to give up.

        Raises `NatsUnavailable` if it cannot have been stored, `PublishFailed` if it
        was refused or nothing is known.
        """
        await self._session_publish(
            subject_of(environment), update.payload(), deadline, dated=update.dated
        )

    async def _session_publish(
        self,
        subject: str,
        payload: bytes,
        deadline: float,
        *,
        dated: bool,
        after: int | None = None,
    ) -> None:
        """As `Publisher.publish`, in whatever session there is now."""
        asked_at = time.monotonic()
        session = self._session
        try:
            if session is None:
                raise NatsUnavailable("NATS is not connected.")
            await session.publisher.publish(
                subject, payload, deadline, dated=dated, after=after
            )
        except Overtaken:
            self._publish_worked(session, asked_at)
            raise
        except (NatsUnavailable, PublishFailed) as error:
            if session is not None:
                session.failing = True
            # Where little is published this may be the first that is heard of it.
            self._begin_trouble(self._worked_at)
            metrics.nats_errors["publish"].inc()
            self.note_error(error)
            raise
        self._publish_worked(session, asked_at)

    def _publish_worked(self, session: _Session | None, asked_at: float) -> None:
        """JetStream has answered a publish that was sent at `asked_at`."""
        if session is not None:
            session.failing = False
        self._trouble_since = None
        self._worked_at = asked_at

    def _begin_trouble(self, since: float) -> None:
        if self._trouble_since is None:
            self._trouble_since = since

    async def _start(self, client: Client) -> api.ConsumerConfig:
        """Where to read from: after the last message read, if the stream still holds
        that; else the newest message of every environment.

        A message that is still there proves that this is the stream that was read, with
        nothing lost before it. A sequence alone does not: a stream may have been made
        anew, or have lost its tail with its server's machine, and have grown since.
        """
        start = api.ConsumerConfig(filter_subject=ALL_SUBJECTS)
        if self._reached is not None and await holds_message(client, *self._reached):
            return start.evolve(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._reached[0] + 1,
            )
        return start.evolve(deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT)

    def _deliver(
        self,
        session: _Session,
        subject: str,
        headers: bytes,
        payload: bytes,
        sequence: int,
        nanoseconds: int,
    ) -> list[OnWritten] | None:
        """Hand one message of the stream to the hub; returns where to add what is to be
        called when everybody whom it concerns has been told. None: that is so now."""
        identity = (sequence, nanoseconds)
        self._reached = identity
        environment = environment_of(subject)
        try:
            if environment is None:
                raise InvalidUpdate("detail", "the subject is of no environment")
            if len(payload) > MAX_BODY_BYTES:
                raise InvalidUpdate("detail", "the message is too large")
            update = parse_update(payload)
        except InvalidUpdate as error:
            if not payload and _DELETION_MARK in headers:
                return None  # of JetStream, where it is told to leave them
            # Somebody else's message: no subscriber may suffer from it.
            metrics.nats_errors["read"].inc()
            logger.warning("update.skipped", subject=subject[:200], reason=str(error))
            return None
        if not session.caught_up:
            self._seen.add(environment)
        self._read.inc()
        stored = nanoseconds / NANOSECONDS
        told = self._in_order(environment, update) if is_dated(headers) else update
        latest = Latest(told, identity, session.expiry(stored), session.state.created)
        if told is not update:
            self._on_turned_back(environment, latest)
        on_told = self._hub.broadcast(environment, latest)
        if on_told is not None:
            on_told.append(partial(_note_told, headers, stored))
        if self.on_update and (session.caught_up or session.announces):
            self.on_update(environment, update, sequence)
        return on_told

    def _in_order(self, environment: str, update: Update) -> Update:
        """What a dated update tells: its time, or that of the one before it if that is
        later. A publish that was on its way for long may be stored after a newer one.
        """
        known = self._hub.latest.of(environment)
        dated = replace(update, dated=True)
        told = dated.not_before(known.update if known else None, time.time())
        return update if told is dated else told

    def _follow(self, session: _Session, state: StreamState) -> None:
        """Replay no more what was purged, and for as long as the stream keeps it."""
        # The next publish tries again: where other instances store what comes here,
        # nothing else would tell that this one can, too. If it fails, the outage is as
        # old as it was.
        session.failing = False
        self._worked_at = time.monotonic()
        reconfigured = state.max_age != session.state.max_age
        session.state, session.asked_at = state, asyncio.get_running_loop().time()
        if reconfigured:
            self._hub.latest.reschedule_expiry(
                lambda latest: session.dropped_at(latest.identity[1] / NANOSECONDS)
            )
        first = state.first_sequence
        self._hub.latest.forget(lambda _, latest: latest.identity[0] < first)

    def _catch_up(self, session: _Session, *, reread: bool) -> None:
        if reread:
            # Purged, deleted or lost with the store: it is not the latest any more.
            self._hub.latest.forget(lambda key, _: key not in self._seen)
        session.caught_up = True
        self.backlog.clear()
        self.backlog.stalled = None
        self.was_ready = True
        if not session.failing:
            self._trouble_since = None
        metrics.nats_connected.set(1)
        if self._connected_before:
            metrics.nats_reconnects_total.inc()
        self._connected_before = True
        metrics.consumer_lag.set(0)
        self._on_ready()


def _note_told(headers: bytes, stored: float, subscribers: int) -> None:
    """So many `subscribers` have been told of an update, or of a later one."""
    if subscribers:
        # The clocks of two machines may differ by more than this took.
        took = max(0.0, time.time() - published_at(headers, stored))
        metrics.delivery_duration_seconds.observe(took)


async def _leave(client: Client, consumer: PullConsumer | None) -> None:
    """Leave nothing behind on the server, as far as it still answers."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            if client.is_connected:
                if consumer is not None:
                    await consumer.delete()
                # Acknowledgements and answers on their way arrive. nats-py's `drain`
                # would wait for queues, which nothing here has, and leave tasks behind
                # if it is cut short.
                await client.flush(CLOSE_SECONDS)
    except (nats.errors.Error, OSError, TimeoutError) as error:
        logger.debug("nats.leave_failed", error=describe(error))
    await close(client)
