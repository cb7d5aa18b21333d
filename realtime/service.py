"""The service of one process: composes hub, bridge and admission, starts them, drains
and stops them."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import structlog
from channels.layers import get_channel_layer

from realtime import __version__, metrics
from realtime.conf import RealtimeSettings, file_limit
from realtime.fleet.agent import Agent
from realtime.fleet.departure_notice import send_departure_notice
from realtime.fleet.environment.answer import environment_answer
from realtime.fleet.environment.busiest import COUNTS, counts_answer
from realtime.fleet.environment.key_lookup import KEYS, KeysAnswer, keys_answer
from realtime.fleet.environment.messages import ENVIRONMENT, EnvironmentAnswer
from realtime.fleet.history.minutes import HISTORY, History
from realtime.fleet.history.recorder import Recorder
from realtime.fleet.overview_watch import watch_fleet
from realtime.fleet.publishes.recorder import PublishRecorder
from realtime.fleet.quantiles import total
from realtime.fleet.reporter import Condition, Reporter
from realtime.fleet.timeline.event_recorder import EventRecorder
from realtime.groups import GroupSender
from realtime.http.authentication import TokenAuthentication
from realtime.http.client_address import TrustedProxies
from realtime.intake.intake import Intake
from realtime.intake.relay import Relay
from realtime.jetstream.bridge import NatsBridge
from realtime.jetstream.worker import BridgeWorker
from realtime.monitoring.process_metrics import Vitals
from realtime.probing.canary import Canary
from realtime.sse.admission import Admission, Refusal
from realtime.sse.hub import Hub

logger = structlog.get_logger("sse")

LAST_WORDS_SECONDS: Final = 0.25
"""For requests that were held to get their 503 before the server goes on stopping."""

STOP_RETRY_SECONDS: Final = 1.0

DEATH_SECONDS: Final = 0.1
"""From the end of work that must not end until the process begins to drain."""

EXIT_CODE: Final = 1


class RealtimeService:
    """One per server process, on one event loop.

    How it stops: `begin_drain` turns `/readyz` to 503 and turns new streams away, while
    updates go on to the open ones and publishes are still taken; `drain` ends the open
    streams one after the other, each with a proper last chunk; `stop` closes the NATS
    connection. The server closes its listener between the last two.
    """

    def __init__(self, settings: RealtimeSettings) -> None:
        self.settings = settings
        self.authentication = TokenAuthentication(settings.authentication_tokens)
        self.proxies = TrustedProxies(settings.trusted_proxies)
        self.publishes = PublishRecorder()
        self.draining = False
        self.others_listen = False
        """Whether other processes take this one's new connections while it drains: a
        stream that is asked for here all the same, on an old connection, is served
        until the process ends, because a 503 would end some clients for good."""
        self.closing = False
        """Whether the server is about to close its listener."""
        self.not_ready_since: float | None = None
        """Since when no stream should come here (Unix seconds)."""
        self.leaving = False
        """Whether it was told over NATS to leave; a worker is replaced first."""
        self.drained_by = ""
        """The user who told it to."""
        self.streams_at_drain = 0
        self.hub = Hub(
            keepalive=settings.keepalive,
            max_stream_age=settings.max_stream_age,
            stall=settings.stall,
            clock=lambda: asyncio.get_running_loop().time(),
        )
        layer = get_channel_layer()
        self._groups = GroupSender(layer) if layer is not None else None
        self.local_address: tuple[str, int] | None = None
        """Where this process was reached last, as the server says."""
        self.agent = Agent(
            me=lambda: self.reporter.me(),
            report=lambda: self.reporter.report(),
            drain=self._on_drain,
            expected=settings.expected_instances,
            opened=lambda: total(metrics.subscribers_total),
        )
        self.watches_fleet = False
        """Whether it looks at the whole fleet although nobody asks: set where this
        process shows the page."""
        self.agent.questions |= {
            COUNTS: lambda keys: counts_answer(self.hub, self.instance, keys),
            ENVIRONMENT: self._environment_answer,
            HISTORY: lambda _: self.history(),
            KEYS: self._keys_answer,
        }
        self.requests_are_cancelled = False
        """Whether the server cancels the requests under way when it stops: Daphne
        does."""
        self.leave: Callable[[], None] = terminate
        """Begins to drain and to end this process, as SIGTERM does."""
        self.expose: Callable[[], Awaitable[bytes]] | None = None
        """Tells the metrics of all workers, where this process is one of several."""
        self.bridge = NatsBridge(
            settings,
            self.hub,
            self.agent,
            on_ready=self._on_ready,
            on_session=lambda: self.intake.outbox.news.set(),
            on_turned_back=lambda *what: self.intake.put_right(*what),
            on_update=self._groups.offer if self._groups is not None else None,
        )
        # One secret or none: where the app only publishes there is nothing to relay.
        secret = next(iter(settings.authentication_tokens), "")
        self.recorder = Recorder(self.hub, secret)
        self.relay = Relay(secret, self.bridge.consumer_name, self._siblings)
        self.intake = Intake(settings, self.hub, self.bridge, self.relay)
        self.reporter = Reporter(
            settings,
            self.hub,
            self.bridge,
            self.intake,
            self.publishes,
            condition=self._condition,
            finding_ages=self.agent.overview_memory.ages,
        )
        self.event_recorder = EventRecorder(
            self.agent.timeline, self.hub, self.bridge, self.intake
        )
        self.admission = Admission(
            refusal=lambda: self._refusal,
            open_streams=lambda: self.hub.subscribers,
            limit=settings.max_subscribers,
            # Each costs a file. Publishers and probes keep half of what is theirs.
            room=min(2 * settings.max_subscribers, file_limit(reserve=0.5)),
            delay=settings.reject_delay,
        )
        self.listens_at: Callable[[], tuple[str, int] | None] = lambda: (
            self.local_address
        )
        """Where this process listens, as far as the server tells; no Unix socket, and
        no TLS."""
        self._canary = Canary(
            seconds=settings.canary,
            token=secret,
            where=lambda: self.listens_at(),
            refusal=self.admission.refused,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._draining: asyncio.Task[None] | None = None
        self._served = asyncio.Event()
        self.died = False
        """Whether work in the background has ended: the process is to end with
        `EXIT_CODE` when it has drained."""
        self._drained = False
        self._owed = 0
        """How many requests were held when the drain began. Daphne cancels them before
        they can be counted later."""
        self._drain_began: float | None = None

    @property
    def address(self) -> str | None:
        """Where the other instances reach this process: by the address with which it
        reaches NATS, or, where the server does not listen on that version of IP, the
        one at which it was reached; None while these are not known."""
        client = self.agent.client
        host = client.local_host if client is not None else None
        if host is None or self.local_address is None:
            return None
        return reachable(host, *self.local_address)

    def note_address(self, scope: Mapping[str, Any]) -> None:
        """Learn from a request's `scope` where the server listens, and tell the
        others."""
        host, port = scope.get("server") or (None, None)
        if host and port:
            self.local_address = host, port
            self.agent.announce()

    @property
    def instance(self) -> str:
        """Its name among the instances of the fleet."""
        return self.bridge.consumer_name

    def history(self) -> History:
        """What this process tells of the last hour."""
        return History(
            instance=self.instance,
            alive=self.agent.presence.alive(),
            hour=self.recorder.hour(),
            past=self.recorder.past,
        )

    def _environment_answer(self, key: bytes) -> EnvironmentAnswer | None:
        return environment_answer(
            key,
            self.hub,
            self.intake.outbox,
            me=self.reporter.me(),
            alive=self.agent.presence.alive(),
            not_ready=self.not_ready.detail if self.not_ready else None,
        )

    def _keys_answer(self, short: bytes) -> KeysAnswer | None:
        alive = self.agent.presence.alive()
        return keys_answer(self.hub, self.instance, alive, short)

    def _condition(self) -> Condition:
        not_ready = self.not_ready
        return Condition(
            not_ready=not_ready.detail if not_ready else None,
            not_ready_since=self.not_ready_since if not_ready else None,
            draining=self.draining,
            leaving=self.leaving,
            drained_by=self.drained_by,
            streams_at_drain=self.streams_at_drain,
            address=self.address,
        )

    @property
    def not_ready(self) -> Refusal | None:
        """Why no stream should come here now; None if all is well."""
        if self.draining:
            return Refusal("draining", "This instance is shutting down.")
        if self.died:
            return Refusal("failed", "The background work of this instance has died.")
        if reason := self.bridge.not_ready:
            return Refusal("nats", reason)
        return None

    @property
    def _refusal(self) -> Refusal | None:
        """Why no stream can be served; None if one can."""
        if self.draining and self.others_listen and not self.died:
            reason = self.bridge.not_ready
            return Refusal("nats", reason) if reason else None
        return self.not_ready

    async def await_ready(self) -> None:
        """Wait until streams can be served for the first time."""
        await self._served.wait()

    def note_readiness(self) -> None:
        """Tell the metrics whether new streams are welcome, and note since when they
        are not. Called several times a second."""
        ready = self.not_ready is None
        metrics.ready.set(ready)
        if ready:
            self.not_ready_since = None
        elif self.not_ready_since is None:
            self.not_ready_since = time.time()

    @property
    def ending_streams(self) -> bool:
        """Whether the open streams are being ended in turn."""
        return self.draining and not self._drained

    def start(self) -> None:
        """Start in the background, on the running event loop; again does nothing."""
        if self._tasks:
            return
        # Not where the app is only installed, to publish.
        metrics.build_info.labels(__version__).set(1)
        metrics.subscribers_limit.set(self.settings.max_subscribers)
        self.keep_running("nats-bridge", BridgeWorker(self.bridge).handle())
        self.keep_running("keep-alive", self.hub.keep_alive())
        self.keep_running("vitals", Vitals(self).watch())
        self.keep_running("history", self.recorder.run())
        self.keep_running("late-publisher", self.intake.late_publisher.run())
        if self.intake.folder is not None:
            self.keep_running("outbox-folder", self.intake.folder.take_over())
        if self.watches_fleet:
            self.keep_running("lookout", self._watch_fleet())
        if self._groups is not None:
            self.keep_running("group-sender", self._groups.run())
        if self.settings.canary:
            self.keep_running("canary", self._canary.run())

    def keep_running(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which does not end by itself, until `stop`. If it does end, so
        does this process: it has `died`, and whoever watches over it starts another."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    def begin_drain(self) -> None:
        """Turn new streams away from now on. Does not wait for anything."""
        if not self.draining:
            self.draining = self.intake.draining = True
            self._drain_began = time.monotonic()
            self._canary.stop()
            self._owed = self.admission.held
            self.streams_at_drain = self.hub.subscribers
            self.note_readiness()
            logger.info("drain.started", streams=self.hub.subscribers)

    async def drain(self) -> None:
        """End every stream; returns when the last one has got its last chunk.

        Called again while it is at it, waits for the same.
        """
        self.begin_drain()
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        await self.hub.end_all(self.settings.drain)
        if self._owed or self.admission.held:
            self.admission.review()
            # Daphne's shutdown cuts off whatever is not written yet.
            await asyncio.sleep(LAST_WORDS_SECONDS)
        self._drained = True
        logger.info("drain.finished")

    async def stop(self) -> None:
        """Store or hand over what waits in the outbox, stop the background work, and
        close the NATS connection."""
        since = self._drain_began or time.monotonic()
        await self.intake.leave(since + self.settings.drain - time.monotonic())
        pending, self._tasks = set(self._tasks), []
        for task in pending:
            task.remove_done_callback(self._on_done)
        while pending:
            for task in pending:
                task.cancel()
            # nats-py swallows a cancellation that comes while it flushes: ask again.
            _, pending = await asyncio.wait(pending, timeout=STOP_RETRY_SECONDS)
        await send_departure_notice(self.settings, self.agent)

    async def _watch_fleet(self) -> None:
        await self.await_ready()
        await watch_fleet(self.settings, self.agent)

    def _siblings(self) -> list[str]:
        """Where other processes can be reached: the other instances, and the workers
        that share this one's port."""
        addresses = self.agent.addresses
        if self.local_address is not None:
            own = _joined(*self.local_address)
            return [*addresses, own] if own not in addresses else addresses
        return addresses

    def _on_drain(self, by: str) -> None:
        self.leaving = True
        self.drained_by = by
        self.leave()

    def _on_ready(self) -> None:
        self._served.set()
        self.event_recorder.on_ready()
        self.note_readiness()
        self.admission.review()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        logger.critical("task.died", task=task.get_name(), exc_info=error)
        if not (self.died or self.draining):
            # Not if it is the event loop that ends.
            asyncio.get_running_loop().call_later(DEATH_SECONDS, terminate)
        self.died = True
        self.note_readiness()


def reachable(outgoing: str, listening: str, port: int) -> str:
    """The address, with the `port`, at which a server that was reached at the address
    `listening` can be reached by others, where connections leave from `outgoing`."""
    if listening == "::":
        # `serve` on all interfaces, for both versions of IP.
        return _joined(outgoing, port)
    # A socket for both versions of IP writes version 4 as ::ffff:192.0.2.1.
    version_6 = ":" in listening and not listening.startswith("::ffff:")
    return _joined(outgoing if version_6 == (":" in outgoing) else listening, port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def terminate() -> None:
    """What whoever runs this process would do to stop it."""
    os.kill(os.getpid(), signal.SIGTERM)
