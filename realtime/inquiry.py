"""Asking the instances over NATS, from any process: where a service runs, over its
bridge's connection; elsewhere, as in a command or in the Flagsmith API, over one of its
own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from realtime.conf import RealtimeSettings
from realtime.connection import close, connect, describe
from realtime.exceptions import NatsUnavailable
from realtime.nats_client import FastClient
from realtime.report import decode
from realtime.service import RealtimeService

CONNECT_SECONDS: Final = 0.8
ANSWER_SECONDS: Final = 1.0
"""Together less than the time within which it must be known that NATS is down."""

MAX_ANSWERS: Final = 1000

_NO_RESPONDERS: Final = "503"

T = TypeVar("T")


@asynccontextmanager
async def nats_client(
    settings: RealtimeSettings, service: RealtimeService | None = None
) -> AsyncIterator[FastClient]:
    """A connection to NATS: that of `service`, if it has one. Raises
    `NatsUnavailable`."""
    shared = service.responder.client if service else None
    if shared is not None and shared.is_connected:
        yield shared
        return
    client = await connect(settings, on_closed=_on_closed, seconds=CONNECT_SECONDS)
    try:
        yield client
    finally:
        await close(client)


class Inquiry:
    """A question that many may answer, each as often as it likes."""

    def __init__(self, client: Client, inbox: Subscription) -> None:
        self._client = client
        self._inbox = inbox

    async def ask(self, subject: str, payload: bytes = b"") -> None:
        """Raises `NatsUnavailable`."""
        try:
            await self._client.publish(subject, payload, reply=self._inbox.subject)
        except nats.errors.Error as error:
            raise NatsUnavailable(f"Cannot ask: {describe(error)}") from error

    async def collect(
        self, kind: type[T], enough: Callable[[list[T]], bool], seconds: float
    ) -> list[T]:
        """The answers of `kind` that come within `seconds`, or until they are `enough`
        or there is nobody to answer."""
        answers: list[T] = []
        with suppress(TimeoutError, nats.errors.Error):
            async with asyncio.timeout(seconds):
                while len(answers) < MAX_ANSWERS and not (answers and enough(answers)):
                    message = await self._inbox.next_msg(timeout=seconds)
                    if (message.headers or {}).get("Status") == _NO_RESPONDERS:
                        break
                    if (answer := decode(message.data, kind)) is not None:
                        answers.append(answer)
        return answers


@asynccontextmanager
async def inquiry(client: Client) -> AsyncIterator[Inquiry]:
    """An inquiry with an inbox of its own on `client`. Raises `NatsUnavailable`."""
    try:
        inbox = await client.subscribe(client.new_inbox())
    except nats.errors.Error as error:
        raise NatsUnavailable(f"Cannot ask: {describe(error)}") from error
    try:
        yield Inquiry(client, inbox)
    finally:
        with suppress(nats.errors.Error):
            await inbox.unsubscribe()


async def _on_closed() -> None:
    """Whoever asks hears of it by the time-out."""
