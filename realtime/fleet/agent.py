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
from realtime.fleet import messages
from realtime.fleet.messages import (
    Answer,
    DrainOrder,
    InstanceReport,
    Sighting,
    decode,
    encode,
)
from realtime.fleet.presence import BEACON_SECONDS, Roll
from realtime.fleet.timeline.messages import EVENTS, TOLD
from realtime.fleet.timeline.timeline import Chronicle
from realtime.jetstream.client import FastClient
from realtime.jetstream.parser import Handler
from realtime.rate_limit import RateLimit

logger = structlog.get_logger("sse")

FRESH_SECONDS: Final = 0.25
"""For how long an answer is given again, however often it is asked for: making one
visits every environment."""

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
    process, by order of the user that it is called with. `roll` knows the other
    instances, and `chronicle` what happened; of it, `expected` and `opened` are as in
    `Chronicle`.
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
        self._me = me
        self._report = report
        self._drain = drain
        self.roll = Roll()
        self.chronicle = Chronicle(
            me=me, alive=self.roll.alive, expected=expected, opened=opened
        )
        self.questions: dict[str, Question] = {
            EVENTS: self.chronicle.on_question,
        }
        """What else is answered, by its subject: add to it before `join`."""
        self.client: FastClient | None = None
        """The connection on which it answers now."""
        self.said_last_word = False
        """Whether the others have heard that this process stops."""
        self._addresses: list[str] = []
        self._beacon: asyncio.TimerHandle | None = None
        self._greeting: asyncio.TimerHandle | None = None
        self._greets_again = False
        """Whether somebody new has come since the last greeting."""
        self._answer: tuple[float, bytes] = float("-inf"), b""
        self._too_large = RateLimit(LOG_SECONDS)

    async def join(self, client: FastClient) -> None:
        """Answer on `client` from now on. Raises `NatsUnavailable`."""
        me = self._me().instance
        handlers: dict[str, Handler] = {
            messages.REPORT: self._on_report,
            f"{messages.REPORT}.{me}": self._on_report,
            messages.ALIVE: self._on_alive,
            f"{messages.DRAIN}.{me}": self._on_drain,
            TOLD: self._on_told,
            **{
                subject: partial(self._on_question, question)
                for subject, question in self.questions.items()
            },
        }
        self.chronicle.deaths.joined()
        await asyncio.gather(*(_listen(client, *item) for item in handlers.items()))
        self.client = client
        self.said_last_word = False
        self._on_beacon()
        await self._ask_what_happened(client)

    async def _ask_what_happened(self, client: FastClient) -> None:
        """Once: what departed instances saw is to outlive them."""
        if self.chronicle.has_asked:
            return
        inbox = client.new_inbox()
        await _listen(client, inbox, self.chronicle.on_account)
        with suppress(NatsUnavailable):
            client.send(EVENTS, b"", inbox)
            self.chronicle.has_asked = True

    @property
    def addresses(self) -> list[str]:
        """Where the other instances can be reached, by what they said last: the roll
        forgets them while there is no connection."""
        me = self._me().instance
        heard = {
            one.address
            for one in self.roll.seen()
            if one.address and not one.left and one.instance != me
        }
        return sorted(heard) or self._addresses

    def leave(self) -> None:
        """The connection ends; if the process does too, say so."""
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None
        if self._beacon is not None:
            self._beacon.cancel()
            self._addresses = self.addresses
            me = self._me()
            said = self._publish(messages.ALIVE, replace(me, left=me.draining))
            self.said_last_word = said and me.draining
        self.client = self._beacon = None

    def _on_beacon(self) -> None:
        self.announce()
        self.chronicle.deaths.look()
        loop = asyncio.get_running_loop()
        self._beacon = loop.call_later(BEACON_SECONDS, self._on_beacon)

    def announce(self) -> None:
        """Let the others hear of this instance, as far as there is a connection."""
        self._publish(messages.ALIVE, self._me())

    def _on_alive(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        sighting = decode(data, Sighting)
        if sighting is None:
            return
        me = self._me().instance
        self.chronicle.deaths.heard(sighting)
        is_new = self.roll.note(sighting) and sighting.instance != me
        if is_new:
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

    def _on_report(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        made_at, answer = self._answer
        if time.monotonic() - made_at > FRESH_SECONDS:
            answer = encode(
                Answer(
                    report=self._report(),
                    alive=self.roll.alive(),
                    overdue=tuple(self.roll.overdue()),
                )
            )
            self._answer = time.monotonic(), answer
        self._reply(reply, answer)

    def _on_question(
        self, question: Question, subject: bytes, reply: bytes, data: bytes, _: bytes
    ) -> None:
        if (answer := question(data)) is not None:
            self._reply(reply, answer)

    def _on_drain(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        order = decode(data, DrainOrder) or DrainOrder()
        logger.info("drain.requested", by=order.by)
        self._drain(order.by)
        self._answer = float("-inf"), b""  # the next one tells of it
        self._reply(reply, self._me())

    def _on_told(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        if self.chronicle.on_told(data):
            self._reply(reply, self._me())

    def _reply(self, reply: bytes, message: Struct | bytes) -> None:
        # Elsewhere, as on JetStream's own subjects, who asks may not be allowed to
        # publish: this process is not to do it for them.
        if reply.startswith(_INBOX):
            # NATS takes any bytes for a subject.
            self._publish(reply.decode(errors="replace"), message)

    def _publish(self, subject: str, message: Struct | bytes) -> bool:
        """Whether there was a connection on which to."""
        payload = message if isinstance(message, bytes) else encode(message)
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
