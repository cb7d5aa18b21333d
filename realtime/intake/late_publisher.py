"""Stores what waits in the outbox as soon as NATS, or another instance, can take it."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import nats.js.errors
import structlog
from nats.aio.client import Client

from realtime.backoff import jittered
from realtime.environments import subject_of
from realtime.exceptions import (
    InvalidUpdate,
    NatsUnavailable,
    Overtaken,
    PermissionDenied,
    PublishFailed,
)
from realtime.intake.outbox import Identity, Kept, Outbox, Outcome
from realtime.jetstream.stream import API_SECONDS, STREAM, call_api
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.updates import Update, parse_update

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


class Publish(Protocol):
    """Stores a payload, `dated` or not, on a subject by a deadline, if the last message
    there has the sequence `after` (0: there is none; None: whatever it is)."""

    def __call__(
        self,
        subject: str,
        payload: bytes,
        deadline: float,
        *,
        dated: bool,
        after: int | None,
    ) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Store:
    """JetStream through one session with NATS; `failing` if it did not confirm what was
    published last. `read` tells what this process has read last of an environment: its
    identity and the update."""

    client: Client
    publish: Publish
    read: Callable[[str], "tuple[Identity, Update] | None"]
    failing: bool

    async def put(
        self, environment: str, update: Update, known: Identity | None
    ) -> Outcome:
        """Store `update`, unless its environment was updated later.

        What is newer: an update that was stored without this one's knowing of it
        (`known`) wins if its time is the same or later. One that was known when this
        one came is older, whatever its time; but a dated update never turns the time
        back (`Update.not_before`).

        Raises `NatsUnavailable` or `PublishFailed`; `Overtaken` if another update was
        stored meanwhile.
        """
        deadline = asyncio.get_running_loop().time() + STORE_SECONDS
        subject = subject_of(environment)
        try:
            latest = await self._last(subject)
            after: int | None = latest.sequence if latest else 0
        except PermissionDenied:
            # Who may not look goes by what it has read.
            latest = self._last_read(environment)
            after = latest.sequence if latest else None
        if latest is not None and latest.update is not None:
            unknown = not latest.is_identified_by(known)
            if unknown and latest.update.seconds >= update.seconds:
                return "superseded"
            update = update.not_before(latest.update, time.time())
        await self.publish(
            subject, update.payload(), deadline, dated=update.dated, after=after
        )
        return "stored"

    def _last_read(self, environment: str) -> "_Stored | None":
        read = self.read(environment)
        if read is None:
            return None
        (sequence, nanoseconds), update = read
        return _Stored(sequence, nanoseconds / NANOSECONDS, update)

    async def _last(self, subject: str) -> "_Stored | None":
        """The last message on `subject`. Raises `NatsUnavailable`, which
        `PermissionDenied` is, and `PublishFailed`."""
        try:
            answer = await call_api(
                self.client,
                f"STREAM.MSG.GET.{STREAM}",
                {"last_by_subj": subject},
                seconds=API_SECONDS,
            )
        except nats.js.errors.NotFoundError as error:
            if error.err_code == _NO_MESSAGE:
                return None
            raise PublishFailed(f"JetStream refuses: {error.description}") from error
        except nats.js.errors.APIError as error:
            raise PublishFailed(f"JetStream refuses: {error.description}") from error
        return _Stored.read(answer["message"])


_NO_MESSAGE: Final = 10037
"""JetStream's code for "no message found"; the stream itself may be missing, too."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A message as JetStream's API tells of it; `update` is None if it is none."""

    sequence: int
    stored_at: float
    update: Update | None

    @classmethod
    def read(cls, message: dict[str, Any]) -> "_Stored":
        update = None
        with suppress(InvalidUpdate):
            update = parse_update(base64.b64decode(message.get("data", "")))
        stored_at = datetime.fromisoformat(message["time"]).timestamp()
        return cls(message["seq"], stored_at, update)

    def is_identified_by(self, identity: Identity | None) -> bool:
        if identity is None:
            return False
        sequence, nanoseconds = identity
        # The API's time is read to the microsecond.
        same_time = abs(self.stored_at - nanoseconds / NANOSECONDS) < 0.001
        return sequence == self.sequence and same_time


class LatePublisher:
    """Goes over `outbox` for ever. `store` is where updates are stored now (None: there
    is no session with NATS). `relay` offers an update to other instances where that is
    of no use, and returns whether one of them has stored it."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        store: Callable[[], Store | None],
        relay: Callable[[Kept], Awaitable[bool]],
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._relay = relay

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
        at_once = AT_ONCE if self._store() is not None else 1
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
        store = self._store()
        if (store is None or store.failing) and await self._relay(kept):
            return "relayed"
        if store is None:
            return None
        for _ in range(OVERTAKEN_TIMES):
            if kept.settled.done():
                return "superseded"  # meanwhile, by one that this process was sent
            try:
                return await store.put(kept.environment, kept.update, kept.known)
            except Overtaken:
                continue
            except (NatsUnavailable, PublishFailed) as error:
                logger.debug("outbox.not_stored", reason=str(error))
                break
        return None
