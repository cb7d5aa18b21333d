"""nats-py's client, as fast as the path from JetStream to the sockets needs it."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.jetstream.parser import Handler, MessageParser

GATHER_SECONDS: Final = 0.001
"""For how long messages are gathered into one write when many are sent: the shortest
time that the event loop knows."""

_VIOLATION: Final = re.compile(
    r'permissions violation for (publish|subscription) to "([^"]+)"'
)

OnRefused = Callable[[str], None]
"""Takes the subject to which we may not publish or subscribe, in lower case: nats-py
knows no other."""

FLUSH_SECONDS: Final = 2
"""nats-py waits for ten, even if the connection is lost meanwhile."""


class NotPermitted(nats.errors.Error):
    """NATS says that we may not ask that."""


class FastClient(Client):
    """nats-py's client, with a way in and a way out that cost a message neither a task
    nor a queue nor a future: a third of the CPU.

    It keeps what a `tls://` URL promises, too: nats-py would go on in the clear, the
    password included, with a server that does not ask for TLS.
    """

    def __init__(self, server: str = "") -> None:
        super().__init__()
        self.server = server
        """The server it is to connect to, as people call it."""
        self._handlers: dict[int, Handler] = {}
        self._ps = MessageParser(self, self._handlers)
        self._on_refused: list[OnRefused] = []
        self._forbidden: set[str] = set()
        """What we may not subscribe to, in lower case."""
        self._outgoing: list[bytes] = []
        self._sending = False
        """Whether something was sent in this turn of the event loop, or is gathered."""
        self._busy = False

    @property
    def local_host(self) -> str | None:
        """The address of this machine by which NATS is reached."""
        writer = getattr(self._transport, "_io_writer", None)
        name = writer.get_extra_info("sockname") if writer else None
        return name[0] if isinstance(name, tuple) else None

    async def listen(self, subject: str, handler: Handler) -> None:
        """Subscribe, and have `handler` called right where messages are parsed.

        Raises `NatsUnavailable`; `PermissionDenied` if we may not.
        """
        try:
            subscription = await self.subscribe(subject, cb=_not_called)
            self._handlers[subscription._id] = handler
            # `send` writes at once; this way, not before the subscription has gone out.
            await self.flush()
        except (nats.errors.Error, OSError) as error:
            raise NatsUnavailable(f"Cannot subscribe: {error}") from error
        if subject.lower() in self._forbidden:
            raise PermissionDenied(refusal("subscribe to", subject))

    def on_refused(self, handler: OnRefused) -> None:
        """Have `handler` called whenever NATS says that we may not do something, which
        is all that it answers then: whoever waits for more waits for ever."""
        self._on_refused.append(handler)

    async def request(  # with all that nats-py's takes
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109  nats-py calls it that
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Raises nats-py's errors; `NotPermitted` at once if we may not ask, or are not
        to hear the answer."""
        refused = asyncio.get_running_loop().create_future()

        def on_refused(forbidden: str) -> None:
            if forbidden == subject.lower() and not refused.done():
                refused.set_result(None)

        asking = asyncio.ensure_future(
            super().request(subject, payload, timeout, old_style, headers)
        )
        self._on_refused.append(on_refused)
        try:
            await asyncio.wait({asking, refused}, return_when="FIRST_COMPLETED")
            if refused.done():
                raise NotPermitted(refusal("publish to", subject))
            return await asking
        except nats.errors.TimeoutError:
            for forbidden in self._forbidden:
                if forbidden.startswith("_inbox."):
                    raise NotPermitted(refusal("subscribe to", "_INBOX.>")) from None
            raise
        finally:
            self._on_refused.remove(on_refused)
            asking.cancel()

    async def _process_err(self, err_msg: str) -> None:
        if violation := _VIOLATION.search(err_msg):
            operation, subject = violation.groups()
            if operation == "subscription":
                self._forbidden.add(subject)
            for handler in list(self._on_refused):
                handler(subject)
        await super()._process_err(err_msg)

    def send(
        self, subject: str, payload: bytes, reply: str, headers: bytes = b""
    ) -> None:
        """Publish: the first of a turn of the event loop at once, the others of that
        turn in one write at its end, or, while they are many, all in one write within a
        millisecond: a write costs as much as all else about a message. The subjects and
        the raw headers must be valid: they are not looked at.

        Raises `NatsUnavailable` if there is no connection.
        """
        if not self.is_connected:
            raise NatsUnavailable("NATS is not connected.")
        size = len(headers) + len(payload)
        head = (
            f"HPUB {subject} {reply} {len(headers)} {size}\r\n"
            if headers
            else f"PUB {subject} {reply} {size}\r\n"
        )
        message = b"%b%b%b\r\n" % (head.encode(), headers, payload)
        if self._sending:
            self._outgoing.append(message)
            return
        loop = asyncio.get_running_loop()
        if self._busy:
            self._outgoing.append(message)
            loop.call_later(GATHER_SECONDS, self._end_turn)
        else:
            self._write(message)
            loop.call_soon(self._end_turn)
        self._sending = True

    async def flush(
        self,
        timeout: int = FLUSH_SECONDS,  # noqa: ASYNC109  nats-py calls it that
    ) -> None:
        """Wait until the server has read all that was sent. Raises nats-py's errors."""
        self._write_out()
        await super().flush(timeout)

    async def send_and_flush(self, subject: str, payload: bytes) -> None:
        """Publish, and wait until the server has read it. Raises `NatsUnavailable`."""
        self.send(subject, payload, "")
        try:
            await self.flush()
        except (nats.errors.Error, OSError) as error:
            raise NatsUnavailable("The connection to NATS was lost.") from error

    def _end_turn(self) -> None:
        self._sending = False
        self._busy = len(self._outgoing) > 1
        self._write_out()

    def _write_out(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        # If the connection was lost meanwhile, whoever waits for an answer hears of it.
        if outgoing and self.is_connected:
            with suppress(NatsUnavailable):
                self._write(b"".join(outgoing))

    def _write(self, data: bytes) -> None:
        """Raises `NatsUnavailable` if nothing of it was written."""
        if self._transport is None:
            raise NatsUnavailable("NATS is not connected.")
        try:
            self._transport.write(data)
        except RuntimeError as error:  # uvloop: it was closed, and nobody knows yet
            raise NatsUnavailable("The connection to NATS was lost.") from error

    async def _process_info(
        self, info: dict[str, Any], initial_connection: bool = False
    ) -> None:
        server = self._current_server
        if server and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise nats.errors.Error("the URL says tls://, but the server offers none")
        await super()._process_info(info, initial_connection)


def refusal(action: str, subject: str) -> str:
    """What to say of NATS's permissions."""
    return f"NATS does not permit us to {action} {subject}"


async def _not_called(message: Msg) -> None:
    raise AssertionError("messages go to the handler")
