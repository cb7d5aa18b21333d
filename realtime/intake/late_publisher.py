"""Stores what waits in the outbox as soon as NATS, or another instance, can take it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from realtime.backoff import jittered
from realtime.exceptions import (
    InvalidUpdate,
    NatsUnavailable,
    Overtaken,
    PermissionDenied,
    PublishFailed,
)
from realtime.intake.outbox import Kept, Outbox, Outcome
from realtime.jetstream.api import StoredMessage
from realtime.jetstream.bridge import NatsBridge
from realtime.sse.hub import Hub
from realtime.updates import Identity, Update, parse_update

logger = structlog.get_logger("sse")

FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 2.0
"""Seconds between two rounds over what waits, give or take half; doubled from one round
that settled nothing to the next."""

STORE_SECONDS: Final = 1.7
"""For one update to be stored."""

AT_ONCE: Final = 16
"""Updates stored at the same time: JetStream answers the questions that come with them
one after the other."""

OVERTAKEN_TIMES: Final = 3
"""So often another instance may come first before the next round."""


class LatePublisher:
    """Goes over `outbox` for ever, and stores through `bridge`. `relay` offers an
    update to other instances where that is of no use, and returns whether one of them
    has stored it."""

    def __init__(
        self,
        outbox: Outbox,
        hub: Hub,
        bridge: NatsBridge,
        relay: Callable[[Kept], Awaitable[bool]],
    ) -> None:
        self._outbox = outbox
        self._hub = hub
        self._bridge = bridge
        self._relay = relay

    async def store(self, update: Update, known: Identity | None) -> Outcome:
        """Store `update`, unless its environment was updated later.

        What is newer: an update that was stored without this one's knowing of it
        (`known`) wins if its time is the same or later. One that was known when this
        one came is older, whatever its time; but a dated update never turns the time
        back (`Update.not_before`).

        Raises `NatsUnavailable` or `PublishFailed`; `Overtaken` if another update was
        stored meanwhile.
        """
        deadline = asyncio.get_running_loop().time() + STORE_SECONDS
        last, after = await self._last_stored(update.environment)
        if last is not None:
            with suppress(InvalidUpdate):
                latest = parse_update(update.environment, last.payload)
                if (
                    not last.is_identified_by(known)
                    and latest.seconds >= update.seconds
                ):
                    return "superseded"
                update = update.not_before(latest, time.time())
        await self._bridge.publish(update, deadline, after=after)
        return "stored"

    async def _last_stored(
        self, environment: str
    ) -> tuple[StoredMessage | None, int | None]:
        """The last message of `environment`, and after which sequence an update is to
        be stored. Raises `NatsUnavailable`."""
        try:
            last = await self._bridge.last_stored(environment)
        except PermissionDenied:
            # Who may not look goes by what it has read.
            latest = self._hub.latest.of(environment)
            if latest is None:
                return None, None
            last = StoredMessage(latest.identity, latest.update.payload())
        return last, last.identity[0] if last else 0

    async def run(self) -> None:
        """Store what waits, in rounds with growing delays, until cancelled."""
        delay = FIRST_DELAY
        while True:
            await self._outbox.news.wait()
            self._outbox.news.clear()
            waited = len(self._outbox)
            try:
                await self._round()
            except Exception:
                # Whatever it was: what waits must not be lost with this task.
                logger.exception("outbox.failed")
            if len(self._outbox) < waited:
                delay = FIRST_DELAY
            if not self._outbox:
                delay = FIRST_DELAY
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.news.wait(), jittered(delay))
            self._outbox.news.set()
            delay = min(2 * delay, MAX_DELAY)

    async def _round(self) -> None:
        """One try for each update that waits; the first failure ends it."""
        waiting = iter(self._outbox.waiting)

        async def settle_some() -> None:
            for kept in waiting:
                if not await self.settle(kept):
                    return

        # Other instances are asked for one update before they are for more.
        at_once = AT_ONCE if self._bridge.has_session else 1
        async with asyncio.TaskGroup() as settling:
            for _ in range(min(at_once, len(self._outbox))):
                settling.create_task(settle_some())

    async def settle(self, kept: Kept) -> bool:
        """Try to store `kept`; whether it need not wait any more."""
        update = kept.update
        outcome = await self._try(kept)
        if outcome is None:
            return False
        # A newer one may have taken its place meanwhile, and waits for the next round.
        if kept.update is update:
            self._outbox.settle(kept, outcome)
        return True

    async def _try(self, kept: Kept) -> Outcome | None:
        has_session = self._bridge.has_session
        if (not has_session or self._bridge.outage.failing) and await self._relay(kept):
            return "relayed"
        if not has_session:
            return None
        for _ in range(OVERTAKEN_TIMES):
            if kept.settled.done():
                return "superseded"  # meanwhile, by one that this process was sent
            try:
                return await self.store(kept.update, kept.known)
            except Overtaken:
                continue
            except (NatsUnavailable, PublishFailed) as error:
                logger.debug("outbox.not_stored", reason=str(error))
                break
        return None
