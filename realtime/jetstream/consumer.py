"""A JetStream pull consumer, read by a standing request that is answered into a
callback: the speed of a push subscription with a pull's flow control."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import api

from realtime import metrics
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.jetstream.acks import Acks
from realtime.jetstream.api import API_SECONDS
from realtime.jetstream.client import FastClient, refusal
from realtime.jetstream.connection import describe
from realtime.jetstream.message import Message
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.jetstream.subjects import STREAM
from realtime.sse.broadcaster import OnWritten

BATCH: Final = 1000
"""Messages asked for at a time; more are asked for when half of them have come."""

PULL_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 1.5
SILENCE_SECONDS: Final = 5.0
"""A request that brings neither messages nor heartbeats for so long is dead: the
consumer was deleted, its node is gone, or NATS hangs."""

INACTIVE_SECONDS: Final = 30
"""NATS deletes the consumer of a process that has been gone for so long."""

Deliver = Callable[[Message], list[OnWritten] | None]
"""Takes a message of the stream. Returns the list to add to, now, what is to be called
when it has been written to everybody whom it concerns; None: it has been already."""

_PULL: Final = json.dumps(
    {
        "batch": BATCH,
        "expires": PULL_SECONDS * NANOSECONDS,
        "idle_heartbeat": int(HEARTBEAT_SECONDS * NANOSECONDS),
    }
).encode()

_HEARTBEAT: Final = "100"
_PULL_ENDED: Final = ("404", "408")


class PullConsumer:
    """Reads the stream through the consumer `name`, from `start` on, on `client`.

    `deliver` is called with each message, in order; the message is acknowledged when it
    has been written to everybody, and all before it. `on_caught_up` is called once,
    when nothing more was waiting. With `trusted` that is believed of a new consumer
    that says so. `idle` is set when it has nothing to deliver and has not caught up:
    what it was to deliver may have been purged, or it delivers nothing.
    """

    def __init__(
        self,
        client: FastClient,
        name: str,
        start: api.ConsumerConfig,
        *,
        deliver: Deliver,
        on_caught_up: Callable[[], None],
        trusted: bool,
    ) -> None:
        self._client = client
        self._js = client.jetstream(timeout=API_SECONDS)
        self._config = start.evolve(
            name=name,
            # One ack covers everything before it.
            ack_policy=api.AckPolicy.ALL,
            max_ack_pending=2 * BATCH,
            inactive_threshold=float(INACTIVE_SECONDS),
            # It is made anew after a break; what it knew is kept here.
            mem_storage=True,
            num_replicas=1,
        )
        self.name = name
        self.position = (start.opt_start_seq or 1) - 1
        """The sequence that was read last."""
        self._delivered = 0
        self._deliver = deliver
        self.idle = asyncio.Event()
        self._trusted = trusted
        self._on_caught_up = on_caught_up
        self._caught_up = False
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._last_message_at = self._loop.time()
        self._inbox = client.new_inbox()
        self._wanted = 0
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}"
        self._acks = Acks(client)

    async def run(self) -> None:
        """Read until the consumer is lost. Raises `NatsUnavailable`, or whatever
        `deliver` raised."""
        self._client.on_closed(self.lose)
        try:
            if not self._lost.done():
                await self._create()
            while not self._lost.done():
                await asyncio.wait([self._lost], timeout=HEARTBEAT_SECONDS)
                if self._loop.time() - self._last_message_at > SILENCE_SECONDS:
                    metrics.nats_errors["pull"].inc()
                    raise NatsUnavailable(f"The consumer {self.name} fell silent.")
            await self._lost
        finally:
            # What happens from here on is the end of the connection.
            self._lost.cancel()
            self._acks.closed = True

    async def _create(self) -> None:
        self._client.on_refused(self._on_refused)
        try:
            await self.delete()
            info = await self._js.add_consumer(STREAM, self._config)
            # An ack of nothing: if it is refused, that is heard before `listen`
            # returns, not only after the first update.
            await self._client.publish(f"$JS.ACK.{STREAM}.{self.name}.1.0.0.0.0")
        except (nats.errors.Error, OSError) as error:
            metrics.nats_errors["create_consumer"].inc()
            raise NatsUnavailable(
                f"NATS refuses the consumer: {describe(error)}"
            ) from error
        await self._client.listen(self._inbox, self._on_message)
        if not self._lost.done():
            self._pull()
            if self._trusted and not info.num_pending:
                self.catch_up()

    @property
    def progress(self) -> int:
        """Grows with whatever is read, or written to all: while much is being written,
        JetStream waits for acks."""
        return self._delivered + self._acks.done

    def lose(self, error: BaseException) -> None:
        """Make `run` raise `error`."""
        if not self._lost.done():
            self._lost.set_exception(error)
            self._acks.closed = True

    def catch_up(self) -> None:
        """Take note that nothing waits to be read."""
        if not self._caught_up:
            self._caught_up = True
            self._on_caught_up()

    async def delete(self) -> None:
        """Delete the consumer if it is there. Raises nats-py's errors."""
        with suppress(nats.js.errors.NotFoundError):
            await self._js.delete_consumer(STREAM, self.name)

    def _on_refused(self, subject: str) -> None:
        """Nobody waits for an answer to these, so nobody else hears of it."""
        if subject.startswith("$js.ack."):
            # Delivery would stop for good at the most that may be unacknowledged.
            metrics.nats_errors["ack"].inc()
            reason = "NATS refuses acknowledgements: allow $JS.ACK.>"
            self.lose(PermissionDenied(reason))
        elif subject == self._next.lower():
            metrics.nats_errors["pull"].inc()
            self.lose(PermissionDenied(refusal("publish to", self._next)))
        elif subject == self._inbox.lower():
            metrics.nats_errors["pull"].inc()
            self.lose(PermissionDenied(refusal("subscribe to", "_INBOX.>")))

    def _on_message(
        self, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        self._last_message_at = self._loop.time()
        if self._lost.done():
            return
        try:
            # A message of the stream names where to acknowledge it; what the server
            # says of the request itself does not. Headers prove nothing: anybody may
            # publish any.
            if reply:
                self._on_delivery(subject, reply, data, headers)
            else:
                self._on_status(headers.decode(errors="replace"))
        except Exception as error:
            self.lose(error)

    def _on_delivery(
        self, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        # $JS.ACK.stream.consumer.delivered.sequence.consumer-sequence.time.pending, or
        # with the domain and the account's hash after the first two.
        tokens = reply.split(b".")
        first = 5 if len(tokens) == 9 else 7
        sequence = int(tokens[first])
        self._delivered += 1
        if int(tokens[first + 1]) != self._delivered:
            metrics.nats_errors["pull"].inc()
            raise NatsUnavailable(
                f"What the consumer {self.name} delivered after sequence "
                f"{self.position} was lost on its way."
            )
        message = Message(
            subject, headers, data, sequence, int(tokens[first + 2]), reply
        )
        self._acks.add(message, self._deliver(message))
        # What is delivered once more was read before.
        if sequence > self.position:
            self.position = sequence
        self._acks.lag = lag = int(tokens[first + 3])
        if not lag and not self._caught_up:
            self.catch_up()
        self._wanted -= 1
        if self._wanted <= BATCH // 2:
            self._pull()

    def _on_status(self, headers: str) -> None:
        # NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 9\r\n…
        first, *rest = headers.split("\r\n")
        status, _, reason = first.removeprefix("NATS/1.0 ").partition(" ")
        if status == _HEARTBEAT:
            if not self._caught_up:
                self.idle.set()
        elif status in _PULL_ENDED:
            fields = dict(line.split(": ", 1) for line in rest if ": " in line)
            self._wanted -= int(fields.get("Nats-Pending-Messages", self._wanted))
            if self._wanted <= BATCH // 2:
                self._pull()
        elif not self._lost.done():
            # Not asked for by ourselves: leaving, too, we delete the consumer.
            metrics.nats_errors["pull"].inc()
            self.lose(NatsUnavailable(f"The consumer was lost: {status} {reason}"))

    def _pull(self) -> None:
        self._client.send(self._next, _PULL, self._inbox)
        self._wanted += BATCH
