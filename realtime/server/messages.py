"""What a supervisor and its workers say to each other, and the link that carries it.

Frames: four bytes with the length, the most significant first, then one message in
MessagePack. After SIGHUP an older supervisor talks to newer workers, so a message may
get new fields, with defaults, and there may be new messages: what is not known is a
sign of life and nothing else.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Final

import structlog
from msgspec import DecodeError, Struct, ValidationError, msgpack

from realtime.fleet.history.minutes import Hour, Past
from realtime.monitoring.metric_families import Family

logger = structlog.get_logger("sse")

_LENGTH_BYTES: Final = 4


class Message(Struct, tag=True):
    """One of those below; its name is its type on the wire."""


class Unknown(Message):
    """What another version says that this one cannot read. It is never sent."""


# From the supervisor


class Listen(Message):
    """Accept connections as soon as streams can be served, or after so many seconds
    even if they cannot. A worker that takes over from another is told only if that one
    has died: until streams can be served the other is the better one."""

    within: float = 0.0


class Ask(Message):
    """Tell how you are; a worker that does not is taken to hang. `number` comes back in
    the answer."""

    number: int


class Exposition(Message):
    """The metrics of all workers, in the classic text format."""

    text: bytes


class Died(Message):
    """A worker died `at` a time (Unix seconds), for a `reason` in words, and is
    replaced. Who is started later is told of the last few, too."""

    worker: int
    pid: int
    reason: str
    at: float


class Stay(Message):
    """No replacement could be had; the worker need not leave."""


class Inherit(Message):
    """What the workers counted in the last hour that have ended."""

    past: Past


# From a worker


class Listening(Message):
    """Connections are accepted."""


class Status(Message, tag="Told"):
    """How the worker is: its metrics, and why it is not ready, if it is not. The answer
    to `Ask`; without a number it is the worker's last message."""

    families: list[Family]
    number: int | None = None
    not_ready: str | None = None


class Leave(Message):
    """The worker wants to be replaced, and to be told to leave then."""


class Scrape(Message):
    """The worker was asked for the metrics of all; `Exposition` answers."""


class Remember(Message):
    """What the worker has counted in the last hour, for when it has ended; sent several
    times a minute. If it `leaves`, it is about to end, and answers no longer for this
    itself."""

    instance: str
    hour: Hour
    leaves: bool = False


FromSupervisor = Listen | Ask | Exposition | Stay | Inherit | Died
FromWorker = Listening | Status | Leave | Scrape | Remember
AnyMessage = FromSupervisor | FromWorker | Unknown
_decoder: Final = msgpack.Decoder(AnyMessage)
_encode: Final = msgpack.Encoder().encode


def frame_of(message: Message) -> bytes:
    """The bytes that carry `message`."""
    body = _encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Link:
    """One end of the socket pair by which a supervisor and a worker know of each other.
    Either reads the end of the file when the other has died, whatever killed it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Link":
        """The link over this `end` of the pair."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: Message) -> None:
        """Send `message`, unless the link is closed."""
        if not self._writer.is_closing():
            self._writer.write(frame_of(message))

    async def receive(self) -> AnyMessage | None:
        """The next message, `Unknown` if this version cannot read it; None at the end
        of the file."""
        try:
            head = await self._reader.readexactly(_LENGTH_BYTES)
            body = await self._reader.readexactly(int.from_bytes(head, "big"))
        except (asyncio.IncompleteReadError, OSError):
            return None
        try:
            message: AnyMessage = _decoder.decode(body)
        except (ValidationError, DecodeError) as error:
            logger.debug("lifeline.unknown_message", reason=str(error))
            return Unknown()
        return message

    def close(self) -> None:
        """Close this end when everything is sent."""
        self._writer.close()

    async def wait_closed(self) -> None:
        with suppress(OSError):  # the other has died before
            await self._writer.wait_closed()
