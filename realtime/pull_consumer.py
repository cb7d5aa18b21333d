"""A JetStream pull consumer, read by a standing request that is answered into a
callback: the speed of a push subscription with a pull's flow control."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api

from realtime.connection import describe
from realtime.exceptions import NatsUnavailable
from realtime.metrics import count_nats_error
from realtime.stream import NANOSECONDS, STREAM

BATCH: Final = 1000
"""Messages asked for at a time; more are asked for when half of them have come."""

ACK_EVERY: Final = 250
"""Messages acknowledged at once while more are waiting to be read."""

PULL_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 1.5
SILENCE_SECONDS: Final = 5.0
"""A request that brings neither messages nor heartbeats for so long is dead: the
consumer was deleted, its node is gone, or NATS hangs."""

INACTIVE_SECONDS: Final = 30
"""NATS deletes the consumer of a process that has been gone for so long."""

_IDLE: Final = "100"
_ENDED: Final = ("404", "408")


class PullConsumer:
    """Reads the stream through the consumer `name`, from `start` on, on `client`.

    `deliver` is called with each message, in order; the message is acknowledged after
    it has returned. `on_caught_up` is called once, when nothing more was waiting.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        start: api.ConsumerConfig,
        *,
        deliver: Callable[[Msg], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self._client = client
        self._js = client.jetstream()
        self._config = start.evolve(
            name=name,
            # One acknowledgement covers everything before it.
            ack_policy=api.AckPolicy.ALL,
            max_ack_pending=2 * BATCH,
            inactive_threshold=float(INACTIVE_SECONDS),
            # It is made anew after a break; what it knew is kept here.
            mem_storage=True,
            num_replicas=1,
        )
        self._name = name
        self._deliver = deliver
        self._on_caught_up = on_caught_up
        self._caught_up = False
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._heard = self._loop.time()
        self._inbox = client.new_inbox()
        self._wanted = 0
        self._unacknowledged = 0

    async def run(self) -> None:
        """Read until the consumer is lost. Raises `NatsUnavailable`, or whatever
        `deliver` raised."""
        try:
            await self._read()
        finally:
            # What happens from here on is the end of the connection.
            self._lost.cancel()

    async def _read(self) -> None:
        try:
            await self.delete()
            info = await self._js.add_consumer(STREAM, self._config)
        except (nats.errors.Error, OSError) as error:
            count_nats_error("create_consumer")
            raise NatsUnavailable(
                f"NATS refuses the consumer: {describe(error)}"
            ) from error
        self._subscription = await self._client.subscribe(
            self._inbox, cb=self._on_message, pending_msgs_limit=4 * BATCH
        )
        await self._pull()
        if not info.num_pending:
            self._catch_up()
        while not self._lost.done():
            await asyncio.wait([self._lost], timeout=HEARTBEAT_SECONDS)
            if self._loop.time() - self._heard > SILENCE_SECONDS:
                count_nats_error("pull")
                raise NatsUnavailable(f"The consumer {self._name} fell silent.")
        await self._lost

    def lose(self, error: Exception) -> None:
        """Make `run` raise `error`."""
        if not self._lost.done():
            self._lost.set_exception(error)

    async def delete(self) -> None:
        """Delete the consumer if it is there. Raises nats-py's errors."""
        with suppress(nats.js.errors.NotFoundError):
            await self._js.delete_consumer(STREAM, self._name)

    async def _on_message(self, message: Msg) -> None:
        self._heard = self._loop.time()
        try:
            # A message of the stream names where to acknowledge it; what the server
            # says of the request itself does not. Headers prove nothing: anybody may
            # publish any.
            if message.reply:
                await self._on_delivery(message)
            else:
                await self._on_status(message.headers or {})
        except Exception as error:
            self.lose(error)

    async def _on_delivery(self, message: Msg) -> None:
        self._deliver(message)
        self._unacknowledged += 1
        if not self._subscription.pending_msgs or self._unacknowledged >= ACK_EVERY:
            await self._acknowledge(message)
        if not self._caught_up and not message.metadata.num_pending:
            self._catch_up()
        self._wanted -= 1
        if self._wanted <= BATCH // 2:
            await self._pull()

    async def _acknowledge(self, message: Msg) -> None:
        try:
            await message.ack()
        except (nats.errors.Error, OSError):
            # The connection is going; what is not acknowledged here is known here.
            count_nats_error("ack")
        self._unacknowledged = 0

    async def _on_status(self, headers: dict[str, str]) -> None:
        status = headers.get(api.Header.STATUS, "")
        if status == _IDLE:
            # Nothing was waiting, even if something was when the consumer was made.
            self._catch_up()
        elif status in _ENDED:
            self._wanted -= int(headers.get("Nats-Pending-Messages", self._wanted))
            if self._wanted <= BATCH // 2:
                await self._pull()
        else:
            count_nats_error("pull")
            reason = headers.get(api.Header.DESCRIPTION, "").strip()
            self.lose(NatsUnavailable(f"The consumer was lost: {status} {reason}"))

    async def _pull(self) -> None:
        request = {
            "batch": BATCH,
            "expires": PULL_SECONDS * NANOSECONDS,
            "idle_heartbeat": int(HEARTBEAT_SECONDS * NANOSECONDS),
        }
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._name}",
            json.dumps(request).encode(),
            reply=self._inbox,
        )
        self._wanted += BATCH

    def _catch_up(self) -> None:
        if not self._caught_up:
            self._caught_up = True
            self._on_caught_up()
