"""The NATS bridge as a Channels background worker, under supervision."""

import asyncio
from typing import Any, Final

import structlog
from channels.worker import Worker

from realtime import metrics
from realtime.backoff import jittered
from realtime.exceptions import NatsUnavailable, RealtimeError
from realtime.jetstream.bridge import NatsBridge
from realtime.jetstream.stream import STREAM

logger = structlog.get_logger("sse")

FIRST_DELAY: Final = 0.25
MAX_DELAY: Final = 2.0
"""Seconds between two sessions of the bridge, give or take half; doubled from one
failure to the next until a session has worked."""


class BridgeWorker(Worker):
    """A `channels.worker.Worker` whose source is JetStream instead of a channel layer.

    It listens to one "channel", the stream, for ever: when a session of the bridge
    ends, for whatever reason, the next one begins after a delay.
    """

    def __init__(self, bridge: NatsBridge) -> None:
        source: Any = bridge
        application: Any = None  # nothing is routed: the bridge feeds the hub itself
        super().__init__(application, channels=[STREAM], channel_layer=source)
        self._bridge = bridge

    async def handle(self) -> None:
        """Run sessions of the bridge until cancelled."""
        delay = FIRST_DELAY
        while True:
            try:
                await self._bridge.run()
            except RealtimeError as error:
                self._bridge.note_error(error)
                if isinstance(error, NatsUnavailable):
                    self._bridge.on_lost()
                logger.warning("bridge.interrupted", reason=str(error))
            except Exception as error:
                self._bridge.note_error(error)
                metrics.bridge_restarts_total.inc()
                logger.exception("bridge.failed")
            if self._bridge.was_ready:
                delay = FIRST_DELAY
            await asyncio.sleep(jittered(delay))
            delay = min(delay * 2, MAX_DELAY)
