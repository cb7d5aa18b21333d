"""The service of one process: composes its parts, starts, drains and stops them."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import structlog
from channels.layers import get_channel_layer

from realtime import __version__, metrics
from realtime.background import BackgroundWork
from realtime.conf import RealtimeSettings
from realtime.fleet.addresses import Addresses
from realtime.fleet.agent import Agent
from realtime.fleet.departure_notice import send_departure_notice
from realtime.fleet.history.recorder import Recorder
from realtime.fleet.overview_watch import watch_fleet
from realtime.fleet.own_answers import answers_by_subject
from realtime.fleet.publishes.recorder import PublishRecorder
from realtime.fleet.quantiles import total
from realtime.fleet.reporter import Reporter
from realtime.fleet.timeline.event_recorder import EventRecorder
from realtime.groups import GroupSender
from realtime.http.client_address import TrustedProxies
from realtime.intake.intake import Intake
from realtime.intake.relay import Relay
from realtime.jetstream.bridge import NatsBridge
from realtime.lifecycle import Lifecycle, Phase, Refusal
from realtime.monitoring.exposition import expose
from realtime.monitoring.process_metrics import watch_process
from realtime.probing.canary import Canary
from realtime.process import file_limit
from realtime.sse.admission import Admission
from realtime.sse.hub import Hub

logger = structlog.get_logger("sse")

REFUSAL_SECONDS: Final = 0.25
"""For requests that were held to get their 503 before the server goes on stopping."""

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
        self.watches_fleet = False
        """Whether it looks at the whole fleet although nobody asks: set where this
        process shows the page."""
        self.requests_are_cancelled = False
        """Whether the server cancels the requests under way when it stops: Daphne
        does."""
        # One secret or none: where the app only publishes there is nothing to relay.
        secret = next(iter(settings.authentication_tokens), "")
        self.lifecycle = Lifecycle(lambda: self.bridge.not_ready)
        self.background = BackgroundWork(self.lifecycle)
        self.publishes = PublishRecorder()
        self.proxies = TrustedProxies(settings.trusted_proxies)
        self.hub = Hub(
            keepalive=settings.keepalive,
            max_stream_age=settings.max_stream_age,
            stall=settings.stall,
            clock=lambda: asyncio.get_running_loop().time(),
        )
        layer = get_channel_layer()
        self._groups = GroupSender(layer) if layer is not None else None
        self.recorder = Recorder(self.hub, secret)
        self.agent = self._agent()
        self.addresses = Addresses(self.agent)
        self.bridge = self._bridge()
        relay = Relay(secret, self.instance, self.addresses.siblings)
        self.intake = Intake(settings, self.hub, self.bridge, relay)
        self.reporter = self._reporter()
        self.agent.questions |= answers_by_subject(
            self.agent, self.hub, self.intake.outbox, self.recorder, self.lifecycle
        )
        self.event_recorder = EventRecorder(
            self.agent.timeline, self.hub, self.bridge, self.intake
        )
        self.admission = self._admission()
        self._canary = Canary(
            seconds=settings.canary,
            token=secret,
            where=self.addresses.listens_at,
            refusal=self.admission.refused,
        )
        self._draining: asyncio.Task[None] | None = None
        self._served = asyncio.Event()
        self._held_at_drain = 0
        """How many requests were held when the drain began. Daphne cancels them before
        they can be counted later."""

    def _agent(self) -> Agent:
        return Agent(
            me=lambda: self.reporter.me(),
            report=lambda: self.reporter.report(),
            drain=self.lifecycle.leave,
            expected=self.settings.expected_instances,
            opened=lambda: total(metrics.subscribers_total),
        )

    def _reporter(self) -> Reporter:
        return Reporter(
            self.settings,
            self.hub,
            self.bridge,
            self.intake,
            self.publishes,
            self.lifecycle,
            address=lambda: self.addresses.own,
            finding_ages=self.agent.overview_memory.ages,
        )

    def _bridge(self) -> NatsBridge:
        bridge = NatsBridge(self.settings, self.hub)
        bridge.on_connected = self.agent.join
        bridge.on_disconnected = self.agent.leave
        bridge.on_session = lambda: self.intake.outbox.news.set()
        bridge.on_ready = self._on_ready
        bridge.on_turned_back = lambda latest: self.intake.put_right(latest)
        bridge.on_update = self._groups.offer if self._groups else None
        return bridge

    def _admission(self) -> Admission:
        limit = self.settings.max_subscribers
        return Admission(
            refusal=lambda: self.lifecycle.refusal,
            open_streams=lambda: self.hub.subscribers,
            limit=limit,
            # Each costs a file. Publishers and probes keep half of what is theirs.
            room=min(2 * limit, file_limit(reserve=0.5)),
            delay=self.settings.reject_delay,
        )

    @property
    def instance(self) -> str:
        """Its name among the instances of the fleet."""
        return self.bridge.consumer_name

    @property
    def not_ready(self) -> Refusal | None:
        """Why no stream should come here now; None if all is well."""
        return self.lifecycle.not_ready

    async def expose(self) -> bytes:
        """The metrics in the classic text format: of all workers where this is one.
        Raises `MetricsUnavailable`."""
        supervisor = self.lifecycle.supervisor
        return await (supervisor.scrape() if supervisor is not None else expose())

    async def await_ready(self) -> None:
        """Wait until streams can be served for the first time."""
        await self._served.wait()

    def start(self) -> None:
        """Start in the background, on the running event loop; again does nothing."""
        if self.background:
            return
        # Not where the app is only installed, to publish.
        metrics.build_info.labels(__version__).set(1)
        metrics.subscribers_limit.set(self.settings.max_subscribers)
        self.keep_running("nats-bridge", self.bridge.handle())
        self.keep_running("keep-alive", self.hub.keep_alive())
        self.keep_running(
            "vitals",
            watch_process(
                self._sample,
                self.lifecycle.note_readiness,
                oldest_waiting=lambda: self.intake.outbox.oldest,
            ),
        )
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
        """Run `work`, which does not end by itself, until `stop`."""
        self.background.keep_running(name, work)

    def begin_drain(self) -> None:
        """Turn new streams away from now on. Does not wait for anything."""
        if not self.lifecycle.draining:
            self.lifecycle.begin_drain(self.hub.subscribers)
            self.intake.draining = True
            self._canary.stop()
            self._held_at_drain = self.admission.held
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
        if self._held_at_drain or self.admission.held:
            self.admission.review()
            # Daphne's shutdown cuts off whatever is not written yet.
            await asyncio.sleep(REFUSAL_SECONDS)
        self.lifecycle.phase = Phase.DRAINED
        logger.info("drain.finished")

    async def stop(self) -> None:
        """Store or hand over what waits in the outbox, stop the background work, and
        close the NATS connection."""
        since = self.lifecycle.drained_at or time.monotonic()
        await self.intake.leave(since + self.settings.drain - time.monotonic())
        await self.background.stop()
        await send_departure_notice(self.settings, self.agent)

    def _sample(self) -> None:
        self.reporter.sample()
        self.event_recorder.sample()

    async def _watch_fleet(self) -> None:
        await self.await_ready()
        await watch_fleet(self.settings, self.agent)

    def _on_ready(self) -> None:
        self._served.set()
        self.event_recorder.on_ready()
        self.lifecycle.note_readiness()
        self.admission.review()
