"""What a process that stops tells the others where its bridge could not, because it had
no session then. Who stops properly has not died."""

import asyncio
from typing import Final

import structlog
from msgspec.structs import replace

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.agent import Agent
from realtime.fleet.messages import ALIVE
from realtime.fleet.wire_types import encode
from realtime.jetstream.connection import connected

logger = structlog.get_logger("sse")

SECONDS: Final = 1.0
"""A process that stops is not to wait long for a NATS that is away."""


async def send_departure_notice(settings: RealtimeSettings, agent: Agent) -> None:
    """Tell the others, on a connection of its own, that the instance of `agent` stops,
    if they have not heard it."""
    if agent.said_that_it_stops:
        return
    notice = encode(replace(agent.me(), left=True))
    try:
        async with connected(settings, SECONDS) as client, asyncio.timeout(SECONDS):
            await client.send_and_flush(ALIVE, notice)
    except (NatsUnavailable, TimeoutError) as error:
        logger.debug("last_word.not_said", reason=str(error))
