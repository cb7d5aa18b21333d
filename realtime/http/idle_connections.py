"""Connections that clients keep for their next request, in a process that leaves."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

from realtime.http.asgi import Message, Send

QUIET_SECONDS: Final = 1.0
"""How long a connection must have been without a request before it is closed. While a
process leaves, every answer says that it is the last of its connection, so that whoever
asks more often than this goes by itself; to close under one who is just asking would
lose a request."""

LINGER_SECONDS: Final = 2.5
"""How long a process that has nothing else left to do waits for its connections to be
closed: twice `QUIET_SECONDS`, and some."""

_POLL_SECONDS: Final = 0.05

T = TypeVar("T")


async def close_idle(idle: Callable[[], set[T]], close: Callable[[T], None]) -> None:
    """`close`, for ever, whatever is `idle` and was so `QUIET_SECONDS` ago.

    To be run while every answer is the last of its connection: one that is idle twice
    had no request in between.
    """
    before: set[T] = set()
    while True:
        now = idle()
        for connection in now & before:
            close(connection)
        before = now - before
        await asyncio.sleep(QUIET_SECONDS)


async def linger(connections: Callable[[], Collection[object]]) -> None:
    """Wait until no `connections` are left, for `LINGER_SECONDS` at most."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LINGER_SECONDS
    # Neither server tells when the last one has gone.
    while connections() and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)


def last_answer(send: Send) -> Send:
    """`send` with the header that says that the connection ends with this answer."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Any = message.get("headers", ())
            kept = [h for h in headers if h[0].lower() != b"connection"]
            message = {**message, "headers": [*kept, (b"connection", b"close")]}
        await send(message)

    return send_last
