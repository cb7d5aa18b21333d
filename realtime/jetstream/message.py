"""A message of the stream: how an update is stored, and what JetStream delivers."""

import re
import time
from typing import Final

import structlog
from msgspec import Struct

from realtime import metrics
from realtime.exceptions import InvalidUpdate
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.jetstream.subjects import environment_of
from realtime.updates import MAX_BODY_BYTES, Update, parse_update

logger = structlog.get_logger("sse")

MOST_ON_ITS_WAY_SECONDS: Final = 60.0
"""Between publishing and storing, the difference of two clocks included."""

_HEADERS: Final = b"NATS/1.0\r\nSSE-Published: %.6f\r\n%b%b\r\n"
_PUBLISHED: Final = re.compile(rb"\r\nSSE-Published: (\d{1,12}\.\d{6})\r\n")
_DATED: Final = b"SSE-Dated: true\r\n"
_DATED_LINE: Final = b"\r\n" + _DATED
_AFTER: Final = b"Nats-Expected-Last-Subject-Sequence: %d\r\n"
_DELETION_MARK: Final = b"\r\nNats-Marker-Reason: "
"""In what JetStream itself leaves where something was deleted, if it is told to."""


def headers_of(update: Update, after: int | None) -> bytes:
    """The raw headers with which `update` is published now. `after` is the sequence
    that the last message on its subject must have (0: there must be none)."""
    dated = _DATED if update.dated else b""
    expected = _AFTER % after if after is not None else b""
    return _HEADERS % (time.time(), dated, expected)


class Message(Struct):
    """A message as JetStream delivers it; anybody may publish any.

    `headers` are raw, `nanoseconds` is when it was stored, since 1970 and by the
    server's clock, and `ack` the subject on which to acknowledge it. `done` says
    whether it has been written to everybody whom it concerns.
    """

    subject: bytes
    headers: bytes
    payload: bytes
    sequence: int
    nanoseconds: int
    ack: bytes
    done: bool = False

    @property
    def is_dated(self) -> bool:
        """Whether it was published with a date."""
        return _DATED_LINE in self.headers

    @property
    def age(self) -> float:
        """Seconds since it was published, by its publisher's clock: since it was
        stored, if the headers do not say, or cannot be right."""
        published = stored = self.nanoseconds / NANOSECONDS
        found = _PUBLISHED.search(self.headers)
        if found and abs(float(found[1]) - stored) <= MOST_ON_ITS_WAY_SECONDS:
            published = float(found[1])
        # The clocks of two machines may differ by more than this took.
        return max(0.0, time.time() - published)


def update_in(message: Message) -> Update | None:
    """The update that was stored; None for somebody else's message, from which no
    subscriber may suffer."""
    environment = environment_of(message.subject)
    try:
        if environment is None:
            raise InvalidUpdate("detail", "the subject is of no environment")
        if len(message.payload) > MAX_BODY_BYTES:
            raise InvalidUpdate("detail", "the message is too large")
        return parse_update(environment, message.payload)
    except InvalidUpdate as error:
        if message.payload or _DELETION_MARK not in message.headers:
            metrics.nats_errors["read"].inc()
            subject = message.subject[:200].decode(errors="replace")
            logger.warning("update.skipped", subject=subject, reason=str(error))
        return None
