"""Publishing to JetStream: many updates on their way at once, each acknowledged."""

import asyncio
import json
from dataclasses import dataclass
from typing import Final, Self

from realtime.exceptions import NatsUnavailable, Overtaken, PublishFailed
from realtime.jetstream.client import FastClient, refusal
from realtime.jetstream.message import headers_of
from realtime.jetstream.subjects import ALL_SUBJECTS, STREAM, subject_of
from realtime.updates import Update

MAX_IN_FLIGHT: Final = 20_000
"""Updates that wait for their acks; what a server that hangs may cost."""

SWEEP_SECONDS: Final = 0.05
"""How often those that have waited for too long are looked for: one timer for all."""

_WRONG_LAST_SEQUENCE: Final = (10071, 10164)
"""JetStream's codes for a message that was to come after another than the last; a
cluster has the second for one whose subject has another on its way to the replicas."""

_NO_RESPONDERS: Final = b"NATS/1.0 503"
_STORED: Final = f'"stream":"{STREAM}"'.encode()


@dataclass(slots=True, eq=False)
class _Publish:
    """An update on its way: done once its ack has come."""

    acked: asyncio.Future[None]
    subject: str
    deadline: float

    def fail(self, error: Exception) -> None:
        if not self.acked.done():
            self.acked.set_exception(error)


class Publisher:
    """Publishes on one connection. JetStream acknowledges each update on a subject of
    its own below one inbox."""

    def __init__(self, client: FastClient) -> None:
        self.client = client
        self._inbox = client.new_inbox() + "."
        self._prefix = len(self._inbox)
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[bytes, _Publish] = {}
        self.refused: str | None = None
        """Why NATS refuses what is published; None if it does not."""
        self._last = 0
        self._sweeper: asyncio.TimerHandle | None = None

    @classmethod
    async def on(cls, client: FastClient) -> Self:
        """A publisher that listens for acks on `client`. Raises `NatsUnavailable`."""
        publisher = cls(client)
        client.on_refused(publisher._on_refused)
        client.on_closed(publisher.fail)
        await client.listen(publisher._inbox + "*", publisher._on_ack)
        return publisher

    async def publish(
        self, update: Update, deadline: float, *, after: int | None = None
    ) -> None:
        """Returns once JetStream has acknowledged that it stored `update`.

        `deadline` is the event loop's time at which to give up. `after` is the sequence
        that the environment's last message must have (0: there must be none).

        Raises `NatsUnavailable` if it cannot have been stored, `PublishFailed` if it
        was refused or nothing is known, and `Overtaken` if it does not come `after`.
        """
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            raise NatsUnavailable("Too many updates wait to be stored.")
        self._last += 1
        token = str(self._last)
        subject = subject_of(update.environment)
        headers = headers_of(update, after)
        self.client.send(subject, update.payload(), self._inbox + token, headers)
        acked: asyncio.Future[None] = self._loop.create_future()
        key = token.encode()
        self._in_flight[key] = _Publish(acked, subject, deadline)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        try:
            await acked
        finally:
            del self._in_flight[key]

    def fail(self, error: NatsUnavailable) -> None:
        """Raise `error` from every publish that waits, and look for none any more."""
        for publish in self._in_flight.values():
            publish.fail(error)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _on_ack(
        self, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        publish = self._in_flight.get(subject[self._prefix :])
        if publish is None or publish.acked.done():
            return  # too late: it was given up
        if error := _refusal(data, headers):
            publish.fail(error)
        else:
            self.refused = None
            publish.acked.set_result(None)

    def _on_refused(self, forbidden: str) -> None:
        """NATS says so on the connection, and gives no other answer."""
        for publish in self._in_flight.values():
            if publish.subject.lower() == forbidden:
                # Not the subject itself: it ends in the environment's key, and this is
                # told to those who may not see it.
                self.refused = refusal("publish to", ALL_SUBJECTS)
                publish.fail(PublishFailed(f"{self.refused}."))

    def _sweep(self) -> None:
        now = self._loop.time()
        # All of them, in no order: less than a millisecond for as many as there may be.
        for publish in self._in_flight.values():
            if publish.deadline <= now:
                publish.fail(
                    PublishFailed("JetStream did not confirm the update in time.")
                )
        self._sweeper = (
            self._loop.call_later(SWEEP_SECONDS, self._sweep)
            if self._in_flight
            else None
        )


def _refusal(data: bytes, headers: bytes) -> PublishFailed | None:
    """What JetStream's answer says, if it is no ack."""
    if headers.startswith(_NO_RESPONDERS):
        return PublishFailed("JetStream has no stream for updates now.")
    if _STORED in data and b'"seq":' in data and b'"error"' not in data:
        return None
    code = None
    try:
        error = json.loads(data)["error"]
        description, code = error["description"], error.get("err_code")
    except (ValueError, KeyError, TypeError):
        description = "an answer that is not understood"
    if code in _WRONG_LAST_SEQUENCE:
        return Overtaken("Another update of the environment was stored first.")
    return PublishFailed(f"JetStream refused the update: {description}.")
