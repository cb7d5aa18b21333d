"""What a process that stops tells the others, where its bridge could not: it had no
session then. Who stops properly has not died."""

import asyncio
from contextlib import suppress
from typing import Final

import nats.errors
import structlog
from msgspec.structs import replace

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.messages import ALIVE, Sighting, encode
from realtime.jetstream.connection import close, connect

logger = structlog.get_logger("sse")

SECONDS: Final = 1.0
"""A process that stops is not to wait long for a NATS that is away."""


async def say_last_word(settings: RealtimeSettings, me: Sighting) -> None:
    """Tell the others that this process, `me`, stops, on a connection of its own."""
    with suppress(nats.errors.Error, OSError, TimeoutError):
        try:
            client = await connect(settings, on_closed=_on_closed, seconds=SECONDS)
        except NatsUnavailable as error:
            logger.debug("last_word.not_said", reason=str(error))
            return
        try:
            async with asyncio.timeout(SECONDS):
                await client.publish(ALIVE, encode(replace(me, left=True)))
                await client.flush()
        finally:
            await close(client)


async def _on_closed() -> None:
    """It was to be closed."""
