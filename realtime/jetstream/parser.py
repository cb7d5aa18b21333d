"""NATS's wire protocol, as fast as the path from JetStream to the sockets needs it."""

from collections.abc import Callable
from typing import Final

import structlog
from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

logger = structlog.get_logger("sse")

Handler = Callable[[bytes, bytes, bytes, bytes], None]
"""Takes a message's subject, reply subject, payload and raw headers."""

_END: Final = b"\r\n"


class MessageParser(Parser):
    """nats-py's parser, with a way of its own for messages: those of a subscription in
    `handlers` are handed over at once, without a copy of what follows them, a task or a
    queue. A line that is no message is left to nats-py.

    nats-py would also end a name at any white space, NATS only at a space or a tab: a
    subject with a vertical tab in it, published by whomever, would end the connection,
    and as it is stored, every connection after that.
    """

    def __init__(self, client: Client, handlers: dict[int, Handler]) -> None:
        super().__init__(client)
        self._client = client
        self._handlers = handlers
        self._awaited = 0
        """How many bytes must have come before there is anything to parse."""

    def reset(self) -> None:
        super().reset()
        self._awaited = 0

    async def parse(self, data: bytes = b"") -> None:
        """Parse what was read, and act on it. Raises nats-py's `ProtocolError`."""
        if self.buf:
            self.buf += data
            if len(self.buf) < self._awaited:
                return
            data = bytes(self.buf)
        position = self._awaited = 0
        while (line_end := data.find(_END, position)) >= 0:
            start = line_end + len(_END)
            # HMSG subject sid [reply] header-size size, or MSG subject sid [reply] size
            tokens = data[position:line_end].split(b" ")
            try:
                if tokens[0] == b"HMSG":
                    names = tokens[1:-2]
                    payload_start = start + int(tokens[-2])
                elif tokens[0] == b"MSG":
                    names = tokens[1:-1]
                    payload_start = start
                else:
                    self.buf = bytearray(data[position:start])
                    await super().parse()
                    position = start
                    continue
                subject, sid, reply = names if len(names) == 3 else (*names, b"")
                number, end = int(sid), start + int(tokens[-1])
            except (ValueError, IndexError):
                raise ProtocolError("nats: malformed MSG") from None
            if end + len(_END) > len(data):
                self._awaited = end + len(_END) - position
                break
            headers, payload = data[start:payload_start], data[payload_start:end]
            position = end + len(_END)
            if handler := self._handlers.get(number):
                try:
                    handler(subject, reply, payload, headers)
                except Exception:
                    # nats-py would stop reading, and say so to nobody.
                    logger.exception("nats.handler_failed")
            else:
                await self._client._process_msg(
                    number, subject, reply, payload, headers
                )
        self.buf = bytearray(data[position:])
