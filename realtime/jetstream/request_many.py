"""A request over core NATS that many may reply to, each as often as it likes."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from realtime.exceptions import NatsUnavailable
from realtime.jetstream.connection import describe

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of all replies to one inbox: whoever may publish there may reply, too."""

_NO_RESPONDERS: Final = "503"


class RequestMany:
    """Requests with one inbox for their replies."""

    def __init__(self, client: Client, inbox: Subscription) -> None:
        self._client = client
        self._inbox = inbox
        self._room = MAX_BYTES

    async def send(self, subject: str, payload: bytes = b"") -> None:
        """Raises `NatsUnavailable`."""
        try:
            await self._client.publish(subject, payload, reply=self._inbox.subject)
        except nats.errors.Error as error:
            raise NatsUnavailable(f"Cannot ask: {describe(error)}") from error

    async def next_reply(self, until: float) -> bytes | None:
        """The next reply that comes `until` then (`time.monotonic`). None: there was
        none, or nobody listens, or there were more than `MAX_BYTES` of them."""
        with suppress(TimeoutError, nats.errors.Error):
            # Where messages come without a pause nats-py takes no notice of a time-out.
            if self._room > 0 and (left := until - time.monotonic()) > 0:
                message = await self._inbox.next_msg(timeout=left)
                self._room -= len(message.data)
                if (message.headers or {}).get("Status") != _NO_RESPONDERS:
                    return message.data
        return None


@asynccontextmanager
async def request_many(client: Client) -> AsyncIterator[RequestMany]:
    """Requests with an inbox of their own on `client`. Raises `NatsUnavailable`."""
    try:
        inbox = await client.subscribe(client.new_inbox())
    except nats.errors.Error as error:
        raise NatsUnavailable(f"Cannot ask: {describe(error)}") from error
    try:
        yield RequestMany(client, inbox)
    finally:
        with suppress(nats.errors.Error):
            await inbox.unsubscribe()
