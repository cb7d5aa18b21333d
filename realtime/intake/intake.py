"""Takes updates in: stores each, or keeps it until it can be stored, and decides what
the publisher is answered."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.intake.late_publisher import LatePublisher
from realtime.intake.outbox import SETTLED_WELL, Identity, Outbox, settled_by
from realtime.intake.outbox_folder import OutboxFolder
from realtime.intake.relay import SECONDS as RELAY_SECONDS
from realtime.intake.relay import Relay
from realtime.jetstream.bridge import NatsBridge
from realtime.sse.hub import Hub
from realtime.sse.latest import Latest
from realtime.updates import Update

logger = structlog.get_logger("sse")

PATIENCE_SECONDS: Final = 3.0
"""An outage this young may be over within the publisher's three tries, and may be ours
alone: its next try may reach an instance that has NATS. So it is answered with an
error. An older one would use the tries up, and with them end a task that has further
environments to tell of. The third try comes 4.4 s after the first where each waits for
its whole time, so that whenever an outage begins the third is taken. An outage counts
from when the stream was last known to take updates: an instance that nothing was
published to learns of it by the third try only."""

SAVE_SECONDS: Final = 0.2
"""For the disk, beyond the deadline of an answer."""

HANDED_OVER_AT_ONCE: Final = 8
"""Updates given to other instances at the same time, by a process that stops."""

LEAVE_SECONDS: Final = 2.0
"""The least time that what waits has to be stored by a process that stops."""


class Intake:
    """Stores updates through `bridge`, and keeps what it cannot. `relay` reaches the
    other instances."""

    def __init__(
        self, settings: RealtimeSettings, hub: Hub, bridge: NatsBridge, relay: Relay
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._bridge = bridge
        self._relay = relay
        self.outbox = Outbox(settings.outbox_environments)
        self.folder = (
            OutboxFolder(Path(settings.outbox_folder), self.outbox)
            if settings.outbox_folder
            else None
        )
        self.late_publisher = LatePublisher(
            self.outbox, store=lambda: bridge.store, relay=relay.store
        )
        self.on_not_stored: Callable[[str, bool], None] = lambda environment, kept: None
        """Called with the environment of each update that was not stored in time, and
        whether it was accepted all the same."""
        self.draining = False
        """Whether this process is to take nothing more that it would have to keep."""

    async def take(self, environment: str, update: Update, deadline: float) -> bool:
        """Store `update`, or keep it to be stored later; returns whether it is stored.

        `deadline` is the event loop's time by which the publisher must have its answer.

        Raises `NatsUnavailable` or `PublishFailed` if the publisher should try again,
        although the update is kept all the same.
        """
        arrival = self.outbox.arrive()
        latest = self._hub.latest.of(environment)
        known = latest.update if latest else None
        try:
            if self._is_long_out:
                raise NatsUnavailable("NATS has been out of reach for some seconds.")
            await self._bridge.publish(
                environment, update.not_before(known, time.time()), deadline
            )
        except (NatsUnavailable, PublishFailed) as error:
            return await self._keep(
                environment,
                update,
                latest.identity if latest else None,
                arrival,
                error,
                deadline,
            )
        self.outbox.supersede(environment, update, arrival)
        return True

    async def take_relayed(
        self,
        environment: str,
        update: Update,
        known: Identity | None,
        *,
        since: float,
        keep: bool,
    ) -> bool:
        """Store an update that another instance was sent, or, if it asks for that, keep
        it; whether it was taken."""
        store = self._bridge.store
        if store is not None and not self._is_long_out:
            try:
                async with asyncio.timeout(RELAY_SECONDS):
                    await store.put(environment, update, known)
                return True
            except (NatsUnavailable, PublishFailed, TimeoutError) as error:
                logger.debug("relay.not_stored", reason=str(error))
        if not keep or self.draining:
            return False
        self.outbox.keep(
            environment, update, known, reason="an instance stops", since=since
        )
        await self._save(asyncio.get_running_loop().time())
        return True

    def put_right(self, environment: str, latest: Latest) -> None:
        """Store the time that is told of `environment`: the stream holds an earlier
        one, which whoever starts to read it would tell. Each instance tries; one
        succeeds."""
        self.outbox.keep(
            environment,
            latest.update,
            latest.identity,
            reason="an older update was stored after a newer one",
        )

    async def leave(self, seconds: float) -> None:
        """Before the process stops: store what waits, within `seconds` if NATS is
        there, hand the rest over to another instance, wait for NATS with what nobody
        takes, and name in the log what must be left behind."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max(seconds, LEAVE_SECONDS)
        if self._bridge.store is not None:
            await self._settled_by(deadline)
        await self._hand_over(max(deadline, loop.time() + LEAVE_SECONDS))
        on_disk = self.folder is not None and self.folder.fault is None
        if not on_disk:
            # A restart of everything has NATS back within seconds.
            await self._settled_by(deadline)
        for kept in self.outbox.waiting:
            logger.error(
                "update.left_on_disk" if on_disk else "update.lost",
                environment__key=kept.environment,
                updated_at=kept.update.updated_at,
            )
            if not on_disk:
                self.outbox.settle(kept, "left")
        if self.folder is not None:
            await self.folder.close()

    async def _settled_by(self, deadline: float) -> None:
        """Wait for all that waits to be stored, until `deadline` at most."""
        for kept in self.outbox.waiting:
            await settled_by(kept, deadline)

    async def _hand_over(self, deadline: float) -> None:
        """Give what waits to other instances, as long as they take it, or until
        `deadline`."""
        waiting = iter(self.outbox.waiting)

        async def hand_some_over() -> None:
            for kept in waiting:
                if not kept.settled.done():
                    if not await self._relay.hand_over(kept):
                        return
                    self.outbox.settle(kept, "relayed")

        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline), asyncio.TaskGroup() as handing:
                for _ in range(HANDED_OVER_AT_ONCE):
                    handing.create_task(hand_some_over())

    async def _keep(
        self,
        environment: str,
        update: Update,
        known: Identity | None,
        arrival: int,
        error: NatsUnavailable | PublishFailed,
        deadline: float,
    ) -> bool:
        """As `take`, for an update that could not be stored because of `error`."""
        kept = self.outbox.keep(
            environment, update, known, reason=str(error), arrival=arrival
        )
        until = deadline
        if self._is_long_out:
            now = asyncio.get_running_loop().time()
            until = min(until, now + (RELAY_SECONDS if self._relay.is_promising else 0))
        if await settled_by(kept, until) in SETTLED_WELL:
            return True
        await self._save(deadline)
        if kept.settled.done():
            if kept.settled.result() in SETTLED_WELL:
                return True
            self.on_not_stored(environment, False)
            raise error  # it was dropped: too many wait
        if (
            self._settings.accept_without_nats
            and self._is_long_out
            and not self.draining
        ):
            self.on_not_stored(environment, True)
            return False
        self.on_not_stored(environment, False)
        raise error

    @property
    def _is_long_out(self) -> bool:
        since = self._bridge.out_since
        return since is not None and time.monotonic() - since >= PATIENCE_SECONDS

    async def _save(self, deadline: float) -> None:
        if self.folder is not None:
            await self.folder.saved(deadline + SAVE_SECONDS)
