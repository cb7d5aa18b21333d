"""A JetStream pull consumer, read by a standing request that is answered into a
callback: the speed of a push subscription with a pull's flow control."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import api

from realtime import metrics
from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.jetstream.client import FastClient, refusal
from realtime.jetstream.connection import describe
from realtime.jetstream.stream import API_SECONDS, STREAM
from realtime.jetstream.stream_config import NANOSECONDS
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

Deliver = Callable[[str, bytes, bytes, int, int], list[OnWritten] | None]
"""Takes a stored message's subject, raw headers, payload, sequence and time
(nanoseconds since 1970, by the server's clock). Returns the list to add to, now, what
is to be called when everybody has been told; None: that is so already."""

_IDLE: Final = "100"
_ENDED: Final = ("404", "408")


@dataclass(slots=True, eq=False)
class _Read:
    """A message that was read: where to acknowledge it, and whether everybody has been
    told."""

    reply: str
    told: bool


class PullConsumer:
    """Reads the stream through the consumer `name`, from `start` on, on `client`.

    `deliver` is called with each message, in order; the message is acknowledged when
    everybody has been told of it, and of all before it. `on_caught_up` is called once,
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
            # One acknowledgement covers everything before it.
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
        self._delivered = self._told = 0
        self._deliver = deliver
        self.idle = asyncio.Event()
        self._trusted = trusted
        self._on_caught_up = on_caught_up
        self._caught_up = False
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._heard = self._loop.time()
        self._inbox = client.new_inbox()
        self._wanted = 0
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}"
        self._to_acknowledge: str | None = None
        # In the order in which they were read.
        self._untold: deque[_Read] = deque()
        self._lag = 0

    async def run(self) -> None:
        """Read until the consumer is lost. Raises `NatsUnavailable`, or whatever
        `deliver` raised."""
        try:
            await self._read()
        finally:
            # What happens from here on is the end of the connection.
            self._lost.cancel()

    async def _read(self) -> None:
        self._client.on_refused(self._on_refused)
        try:
            await self.delete()
            info = await self._js.add_consumer(STREAM, self._config)
            # An acknowledgement of nothing: if it is refused, that is heard before
            # `listen` returns, not only after the first update.
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
        while not self._lost.done():
            await asyncio.wait([self._lost], timeout=HEARTBEAT_SECONDS)
            if self._loop.time() - self._heard > SILENCE_SECONDS:
                metrics.nats_errors["pull"].inc()
                raise NatsUnavailable(f"The consumer {self.name} fell silent.")
        await self._lost

    @property
    def progress(self) -> int:
        """Grows with whatever is read, or told: while much is being told, JetStream
        waits for acknowledgements."""
        return self._delivered + self._told

    def lose(self, error: BaseException) -> None:
        """Make `run` raise `error`."""
        if not self._lost.done():
            self._lost.set_exception(error)

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

    async def delete(self) -> None:
        """Delete the consumer if it is there. Raises nats-py's errors."""
        with suppress(nats.js.errors.NotFoundError):
            await self._js.delete_consumer(STREAM, self.name)

    def _on_message(
        self, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        self._heard = self._loop.time()
        if self._lost.done():
            return
        try:
            # A message of the stream names where to acknowledge it; what the server
            # says of the request itself does not. Headers prove nothing: anybody may
            # publish any.
            if reply:
                # NATS takes any bytes for a subject, of somebody else's message too.
                name = subject.decode(errors="replace")
                self._on_delivery(name, reply.decode(), headers, data)
            else:
                self._on_status(headers.decode(errors="replace"))
        except Exception as error:
            self.lose(error)

    def _on_delivery(
        self, subject: str, reply: str, headers: bytes, data: bytes
    ) -> None:
        # $JS.ACK.stream.consumer.delivered.sequence.consumer-sequence.time.pending, or
        # with the domain and the account's hash after the first two.
        tokens = reply.split(".")
        first = 5 if len(tokens) == 9 else 7
        sequence, nanoseconds = int(tokens[first]), int(tokens[first + 2])
        if int(tokens[first + 1]) != self._delivered + 1:
            metrics.nats_errors["pull"].inc()
            raise NatsUnavailable(
                f"What the consumer {self.name} delivered after sequence "
                f"{self.position} was lost on its way."
            )
        self._delivered += 1
        on_told = self._deliver(subject, headers, data, sequence, nanoseconds)
        if on_told is None and not self._untold:
            self._acknowledge_soon(reply)
        else:
            read = _Read(reply, on_told is None)
            self._untold.append(read)
            if on_told is not None:
                on_told.append(partial(self._on_told, read))
        # What is delivered once more was read before.
        self.position = max(self.position, sequence)
        self._lag = int(tokens[first + 3])
        if not self._caught_up and not self._lag:
            self.catch_up()
        self._wanted -= 1
        if self._wanted <= BATCH // 2:
            self._pull()

    def _on_told(self, read: "_Read", subscribers: int) -> None:
        read.told = True
        self._told += 1
        while self._untold and self._untold[0].told:
            self._acknowledge_soon(self._untold.popleft().reply)

    def _acknowledge_soon(self, reply: str) -> None:
        if self._to_acknowledge is None:
            # Once for all that came in one read, or was told in one turn.
            self._loop.call_soon(self._acknowledge)
        self._to_acknowledge = reply

    def _acknowledge(self) -> None:
        """Acknowledge the last message, and with it all before."""
        metrics.consumer_lag.set(self._lag)
        reply, self._to_acknowledge = self._to_acknowledge, None
        try:
            # The next session's consumer gets what this one has not acknowledged.
            if reply is not None and not self._lost.done():
                self._client.send(reply, b"", "")
        except NatsUnavailable:
            # What is not acknowledged to JetStream is known here all the same.
            metrics.nats_errors["ack"].inc()

    def _on_status(self, headers: str) -> None:
        # NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 9\r\n…
        first, *rest = headers.split("\r\n")
        status, _, reason = first.removeprefix("NATS/1.0 ").partition(" ")
        if status == _IDLE:
            if not self._caught_up:
                self.idle.set()
        elif status in _ENDED:
            fields = dict(line.split(": ", 1) for line in rest if ": " in line)
            self._wanted -= int(fields.get("Nats-Pending-Messages", self._wanted))
            if self._wanted <= BATCH // 2:
                self._pull()
        elif not self._lost.done():
            # Not asked for by ourselves: leaving, too, we delete the consumer.
            metrics.nats_errors["pull"].inc()
            self.lose(NatsUnavailable(f"The consumer was lost: {status} {reason}"))

    def _pull(self) -> None:
        request = {
            "batch": BATCH,
            "expires": PULL_SECONDS * NANOSECONDS,
            "idle_heartbeat": int(HEARTBEAT_SECONDS * NANOSECONDS),
        }
        self._client.send(
            self._next,
            json.dumps(request).encode(),
            self._inbox,
        )
        self._wanted += BATCH

    def catch_up(self) -> None:
        """Take note that nothing waits to be read."""
        if not self._caught_up:
            self._caught_up = True
            self._on_caught_up()
