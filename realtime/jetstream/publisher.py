"""Publishing to JetStream: many updates on their way at once, each confirmed."""

import asyncio
import json
import re
import time
from typing import Final

from realtime.environments import ALL_SUBJECTS
from realtime.exceptions import NatsUnavailable, Overtaken, PublishFailed
from realtime.jetstream.client import FastClient, refusal
from realtime.jetstream.stream import STREAM

MAX_IN_FLIGHT: Final = 20_000
"""Updates that wait for their confirmation; what a server that hangs may cost."""

SWEEP_SECONDS: Final = 0.05
"""How often those that have waited for too long are looked for: one timer for all."""

_HEADERS: Final = b"NATS/1.0\r\nSSE-Published: %.6f\r\n%b\r\n"
_AFTER: Final = b"Nats-Expected-Last-Subject-Sequence: %d\r\n"
_DATED: Final = b"SSE-Dated: true\r\n"
_WRONG_LAST_SEQUENCE: Final = (10071, 10164)
"""JetStream's codes for a message that was to come after another than the last; a
cluster has the second for one whose subject has another on its way to the replicas."""
_PUBLISHED: Final = re.compile(rb"\r\nSSE-Published: (\d{1,12}\.\d{6})\r\n")

MOST_ON_ITS_WAY_SECONDS: Final = 60.0
"""Between publishing and storing, the difference of two clocks included."""

_NO_RESPONDERS: Final = b"NATS/1.0 503"
_STORED: Final = f'"stream":"{STREAM}"'.encode()


class Publisher:
    """Publishes on one connection. JetStream answers each update on a subject of its
    own below one inbox."""

    def __init__(self, client: FastClient) -> None:
        self._client = client
        self._inbox = client.new_inbox() + "."
        self._prefix = len(self._inbox)
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[bytes, tuple[asyncio.Future[None], float, str]] = {}
        self.refused: str | None = None
        """Why NATS refuses what is published; None if it does not."""
        self._last = 0
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen for confirmations; before the first update. Raises
        `NatsUnavailable`."""
        self._client.on_refused(self._on_refused)
        await self._client.listen(self._inbox + "*", self._on_reply)

    async def publish(
        self,
        subject: str,
        payload: bytes,
        deadline: float,
        *,
        dated: bool = False,
        after: int | None = None,
    ) -> None:
        """Returns once JetStream has stored `payload` on `subject`, a valid one.

        `deadline` is the event loop's time at which to give up. `dated` is as in
        `Update`. `after` is the sequence that the last message on `subject` must have
        (0: there must be none).

        Raises `NatsUnavailable` if it cannot have been stored, `PublishFailed` if it
        was refused or nothing is known, and `Overtaken` if it does not come `after`.
        """
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            raise NatsUnavailable("Too many updates wait to be stored.")
        self._last += 1
        token = str(self._last)
        more = _DATED if dated else b""
        if after is not None:
            more += _AFTER % after
        headers = _HEADERS % (time.time(), more)
        self._client.send(subject, payload, self._inbox + token, headers)
        confirmation: asyncio.Future[None] = self._loop.create_future()
        key = token.encode()
        self._in_flight[key] = (confirmation, deadline, subject)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        try:
            await confirmation
        finally:
            del self._in_flight[key]

    def fail(self, error: NatsUnavailable) -> None:
        """Raise `error` from every publish that waits, and look for none any more."""
        for confirmation, _, _ in self._in_flight.values():
            if not confirmation.done():
                confirmation.set_exception(error)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _on_reply(
        self, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        waiting = self._in_flight.get(subject[self._prefix :])
        if waiting is None or waiting[0].done():
            return  # too late: it was given up
        if error := _refusal(data, headers):
            waiting[0].set_exception(error)
        else:
            self.refused = None
            waiting[0].set_result(None)

    def _on_refused(self, forbidden: str) -> None:
        """NATS says so on the connection, and gives no other answer."""
        for confirmation, _, subject in self._in_flight.values():
            if subject.lower() == forbidden and not confirmation.done():
                # Not the subject itself: it ends in the environment's key, and this is
                # told to those who may not see it.
                self.refused = refusal("publish to", ALL_SUBJECTS)
                confirmation.set_exception(PublishFailed(f"{self.refused}."))

    def _sweep(self) -> None:
        now = self._loop.time()
        # All of them, in no order: less than a millisecond for as many as there may be.
        for confirmation, deadline, _ in self._in_flight.values():
            if deadline <= now and not confirmation.done():
                confirmation.set_exception(
                    PublishFailed("JetStream did not confirm the update in time.")
                )
        self._sweeper = (
            self._loop.call_later(SWEEP_SECONDS, self._sweep)
            if self._in_flight
            else None
        )


def published_at(headers: bytes, stored: float) -> float:
    """When a message was published (Unix seconds, by its publisher's clock), by its raw
    `headers`; when it was `stored` if they do not say, or cannot be right: others may
    publish too."""
    found = _PUBLISHED.search(headers)
    if found and abs(float(found[1]) - stored) <= MOST_ON_ITS_WAY_SECONDS:
        return float(found[1])
    return stored


def is_dated(headers: bytes) -> bool:
    """Whether a message with these raw `headers` was published with a date."""
    return b"\r\n" + _DATED in headers


def _refusal(data: bytes, headers: bytes) -> PublishFailed | None:
    """What JetStream's answer says, if it is no confirmation."""
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
