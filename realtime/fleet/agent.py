"""Answers for this process: what the fleet asks over the bridge's NATS connection."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.fleet.messages import (
    ALIVE,
    DRAIN,
    REPORT,
    Answer,
    DrainOrder,
    InstanceReport,
    Sighting,
)
from realtime.fleet.overview_memory import OverviewMemory
from realtime.fleet.presence import BEACON_SECONDS, Presence
from realtime.fleet.timeline.messages import EVENTS, USER_ACTED
from realtime.fleet.timeline.timeline import Timeline
from realtime.fleet.wire_types import decode, encode
from realtime.jetstream.client import FastClient
from realtime.jetstream.parser import Handler
from realtime.rate_limit import RateLimit

logger = structlog.get_logger("sse")

FRESH_SECONDS: Final = 0.25
"""For how long an answer is given again, however often it is asked for: a report visits
every environment."""

KEPT_FRESH: Final = (REPORT, EVENTS)
"""Questions whose answers are given again: their payload means nothing."""

Question = Callable[[bytes], Struct | None]
"""Makes the answer to a question from its payload, on the event loop; None: none."""

GREET_SECONDS: Final = 0.05
"""Between two greetings of somebody new: whoever makes instances up is to be answered
once for many."""

LOG_SECONDS: Final = 60.0
"""How often it is logged that an answer is larger than NATS takes."""

_INBOX: Final = b"_INBOX."


class Agent:
    """Tells the fleet of this instance, on one connection after the other.

    `me` says who it is, `report` makes its report, and `drain` begins to end this
    process, by order of the user that it is called with. `expected` and `opened` are as
    in `Timeline`.
    """

    def __init__(
        self,
        *,
        me: Callable[[], Sighting],
        report: Callable[[], InstanceReport],
        drain: Callable[[str], None],
        expected: int = 0,
        opened: Callable[[], int] = lambda: 0,
    ) -> None:
        self.me = me
        self._report = report
        self._drain = drain
        self.presence = Presence()
        """The other instances."""
        self.overview_memory = OverviewMemory()
        self.timeline = Timeline(
            me=me, alive=self.presence.alive, expected=expected, opened=opened
        )
        self.questions: dict[str, Question] = {
            REPORT: self._answer,
            EVENTS: lambda _: self.timeline.answer(),
        }
        """By subject: add to them before `join`."""
        self.client: FastClient | None = None
        """The connection on which it answers now."""
        self.said_that_it_stops = False
        """Whether the others have heard that this process stops."""
        self._addresses: list[str] = []
        self._beacon: asyncio.TimerHandle | None = None
        self._greeting: asyncio.TimerHandle | None = None
        self._greets_again = False
        """Whether somebody new has come since the last greeting."""
        self._replies: dict[str, tuple[float, bytes]] = {}
        """The last replies to `KEPT_FRESH`, and when they were made."""
        self._too_large = RateLimit(LOG_SECONDS)

    async def join(self, client: FastClient) -> None:
        """Answer on `client` from now on. Raises `NatsUnavailable`."""
        me = self.me().instance
        handlers: dict[str, Handler] = {
            f"{REPORT}.{me}": partial(self._on_question, REPORT),
            ALIVE: self._on_alive,
            f"{DRAIN}.{me}": self._on_drain,
            USER_ACTED: self._on_user_action,
            **{
                subject: partial(self._on_question, subject)
                for subject in self.questions
            },
        }
        self.timeline.failure_detector.joined()
        await asyncio.gather(*(_listen(client, *item) for item in handlers.items()))
        self.client = client
        self.said_that_it_stops = False
        self._on_beacon()
        if self.timeline.has_asked:
            return
        # What departed instances saw is to outlive them.
        inbox = client.new_inbox()
        await _listen(client, inbox, self.timeline.on_answer)
        with suppress(NatsUnavailable):
            client.send(EVENTS, b"", inbox)
            self.timeline.has_asked = True

    @property
    def addresses(self) -> list[str]:
        """Where the other instances can be reached, by what they said last, also while
        there is no connection and they are forgotten."""
        me, seen = self.me().instance, self.presence.seen()
        others = [one for one in seen if not one.left and one.instance != me]
        return sorted({one.address for one in others if one.address}) or self._addresses

    def leave(self) -> None:
        """The connection ends; if the process does too, say so."""
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None
        if self._beacon is not None:
            self._beacon.cancel()
            self._addresses = self.addresses
            me = self.me()
            said = self._publish(ALIVE, encode(replace(me, left=me.draining)))
            self.said_that_it_stops = said and me.draining
        self.client = self._beacon = None

    def announce(self) -> None:
        """Let the others hear of this instance, as far as there is a connection."""
        self._publish(ALIVE, encode(self.me()))

    def remember(self, action: bytes) -> bool:
        """Remember the encoded action of a user; whether this version knows it."""
        self._replies.pop(EVENTS, None)  # the next one tells of it
        return self.timeline.on_user_action(action)

    def _on_beacon(self) -> None:
        self.announce()
        self.timeline.failure_detector.look()
        loop = asyncio.get_running_loop()
        self._beacon = loop.call_later(BEACON_SECONDS, self._on_beacon)

    def _on_alive(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        sighting = decode(data, Sighting)
        if sighting is None:
            return
        self.timeline.failure_detector.heard(sighting)
        is_new = self.presence.note(sighting)
        if is_new and sighting.instance != self.me().instance:
            # One that has just started must not take itself for the only one.
            if self._greeting is None:
                self._greet()
            else:
                self._greets_again = True

    def _greet(self) -> None:
        self._greets_again = False
        self.announce()
        loop = asyncio.get_running_loop()
        self._greeting = loop.call_later(GREET_SECONDS, self._on_greeted)

    def _on_greeted(self) -> None:
        self._greeting = None
        if self._greets_again:
            self._greet()

    def _answer(self, _payload: bytes) -> Answer:
        return Answer(
            report=self._report(),
            alive=self.presence.alive(),
            overdue=tuple(self.presence.overdue()),
        )

    def _on_question(
        self, asked: str, subject: bytes, reply: bytes, data: bytes, _: bytes
    ) -> None:
        made_at, payload = self._replies.get(asked, (float("-inf"), b""))
        if time.monotonic() - made_at > FRESH_SECONDS:
            answer = self.questions[asked](data)
            if answer is None:
                return
            payload = encode(answer)
            if asked in KEPT_FRESH:
                self._replies[asked] = time.monotonic(), payload
        self._reply(reply, payload)

    def _on_drain(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        order = decode(data, DrainOrder) or DrainOrder()
        logger.info("drain.requested", by=order.by)
        self._drain(order.by)
        self._replies.clear()
        self._reply(reply, encode(self.me()))

    def _on_user_action(
        self, subject: bytes, reply: bytes, data: bytes, _: bytes
    ) -> None:
        if self.remember(data):
            self._reply(reply, encode(self.me()))

    def _reply(self, reply: bytes, payload: bytes) -> None:
        # Elsewhere, as on JetStream's own subjects, who asks may not be allowed to
        # publish: this process is not to do it for them.
        if reply.startswith(_INBOX):
            # NATS takes any bytes for a subject.
            self._publish(reply.decode(errors="replace"), payload)

    def _publish(self, subject: str, payload: bytes) -> bool:
        """Whether there was a connection on which to."""
        if self.client is None:
            return False
        if len(payload) > self.client.max_payload:
            # NATS would end the connection, and updates would wait meanwhile.
            if times := self._too_large.count("too large"):
                most = self.client.max_payload
                logger.warning("answer.too_large", max_payload=most, times=times)
            return False
        try:
            self.client.send(subject, payload, "")
        except NatsUnavailable:
            return False
        return True


async def _listen(client: FastClient, subject: str, handler: Handler) -> None:
    """Updates flow without it; the verdict says what is not permitted."""
    with suppress(PermissionDenied):
        await client.listen(subject, handler)
