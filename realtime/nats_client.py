"""nats-py's client, as fast as the path from JetStream to the sockets needs it."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.protocol import parser

from realtime.exceptions import NatsUnavailable

# nats-py ends a name at any white space, NATS only at a space or a tab: a subject with
# a vertical tab in it, published by whomever, would end the connection, and as it is
# stored, every connection after that.
_NAME: Final = rb"([^ \t\r\n]+)[ \t]+"
parser.MSG_RE = re.compile(rb"\AMSG[ \t]+%b%b(%b)?(\d+)\r\n" % ((_NAME,) * 3))
parser.HMSG_RE = re.compile(
    rb"\AHMSG[ \t]+%b%b(%b)?(\d+)[ \t]+(\d+)\r\n" % ((_NAME,) * 3)
)

FLUSH_SECONDS: Final = 2
"""nats-py waits for ten, even if the connection is lost meanwhile."""

logger = structlog.get_logger("sse")

Handler = Callable[[bytes, bytes, bytes, bytes], None]
"""Takes a message's subject, reply subject, payload and raw headers."""


class FastClient(Client):
    """nats-py's client, with a way in and a way out that cost a message neither a task
    nor a queue nor a future: a third of the CPU.

    It keeps what a `tls://` URL promises, too: nats-py would go on in the clear, the
    password included, with a server that does not ask for TLS.
    """

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[int, Handler] = {}
        self._outgoing: list[bytes] = []

    async def listen(self, subject: str, handler: Handler) -> None:
        """Subscribe, and have `handler` called right where messages are parsed.

        Raises `NatsUnavailable`.
        """
        try:
            subscription = await self.subscribe(subject, cb=_not_called)
            self._handlers[subscription._id] = handler
            # `send` writes at once; this way, not before the subscription has gone out.
            await self.flush(FLUSH_SECONDS)
        except (nats.errors.Error, OSError) as error:
            raise NatsUnavailable(f"Cannot subscribe: {error}") from error

    def send(
        self, subject: str, payload: bytes, reply: str, headers: bytes = b""
    ) -> None:
        """Publish, in one write with everything else that is sent in this turn of the
        event loop. The subjects and the raw headers must be valid: they are not looked
        at.

        Raises `NatsUnavailable` if there is no connection.
        """
        if not self.is_connected:
            raise NatsUnavailable("NATS is not connected.")
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._write_out)
        size = len(headers) + len(payload)
        head = (
            f"HPUB {subject} {reply} {len(headers)} {size}\r\n"
            if headers
            else f"PUB {subject} {reply} {size}\r\n"
        )
        self._outgoing += (head.encode(), headers, payload, b"\r\n")

    def _write_out(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        # If the connection was lost meanwhile, whoever waits for an answer hears of it.
        if self.is_connected and self._transport is not None:
            self._transport.write(b"".join(outgoing))

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        handler = self._handlers.get(sid)
        if handler is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        try:
            handler(subject, reply, data, headers or b"")
        except Exception:
            # nats-py would stop reading, and say so to nobody.
            logger.exception("nats.handler_failed")

    async def _process_info(
        self, info: dict[str, Any], initial_connection: bool = False
    ) -> None:
        server = self._current_server
        if server and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise nats.errors.Error("the URL says tls://, but the server offers none")
        await super()._process_info(info, initial_connection)


async def _not_called(message: Msg) -> None:
    raise AssertionError("messages go to the handler")
