"""Acknowledges what was read, once it has been written to everybody whom it concerns:
JetStream delivers what is not acknowledged to this process's next consumer."""

import asyncio
from collections import deque
from functools import partial

from realtime import metrics
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.client import FastClient
from realtime.jetstream.message import Message
from realtime.sse.broadcaster import OnWritten


class Acks:
    """Sends one consumer's acks on `client`, until it is `closed`. One ack covers all
    messages before its own, so that it is sent when all of them are done."""

    def __init__(self, client: FastClient) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        # In the order in which they were read.
        self._waiting: deque[Message] = deque()
        self._next_ack: bytes | None = None
        self.lag = 0
        """How many messages JetStream had still to deliver when it delivered the last
        one."""
        self.done = 0
        """How many messages were done later than they were delivered."""
        self.closed = False

    def add(self, message: Message, on_done: list[OnWritten] | None) -> None:
        """Acknowledge `message` when what is in `on_done` is called; None: soon."""
        if on_done is not None:
            self._waiting.append(message)
            on_done.append(partial(self._on_done, message))
        elif self._waiting:
            message.done = True
            self._waiting.append(message)
        else:
            self._ack_soon(message)

    def _on_done(self, message: Message, subscribers: int) -> None:
        """`message`, or a later one of its environment, has been written to all of so
        many `subscribers`."""
        message.done = True
        self.done += 1
        if subscribers:
            metrics.delivery_duration_seconds.observe(message.age)
        while self._waiting and self._waiting[0].done:
            self._ack_soon(self._waiting.popleft())

    def _ack_soon(self, message: Message) -> None:
        """Send one ack for all that came in one read, or was written in one turn."""
        if self._next_ack is None:
            self._loop.call_soon(self._send_ack)
        self._next_ack = message.ack

    def _send_ack(self) -> None:
        metrics.consumer_lag.set(self.lag)
        ack, self._next_ack = self._next_ack, None
        try:
            if ack is not None and not self.closed:
                self._client.send(ack.decode(), b"", "")
        except NatsUnavailable:
            # What is not acknowledged to JetStream is known here all the same.
            metrics.nats_errors["ack"].inc()
