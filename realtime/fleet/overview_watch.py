"""A process that shows the page looks at the fleet although nobody asks: so that it
knows since when something is wrong, and the figures of before NATS was lost."""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from realtime.backoff import jittered
from realtime.fleet.overview import gather
from realtime.fleet.overview_memory import LOOK_SECONDS

if TYPE_CHECKING:
    from realtime.service import RealtimeService

logger = structlog.get_logger("sse")

FIRST_SECONDS: Final = 3.0
"""After the start: by then the instances have heard of each other."""


async def look_out(service: "RealtimeService") -> None:
    """Look again and again, for ever, unless somebody else has just done so."""
    await service.await_ready()
    wait = FIRST_SECONDS
    while True:
        await asyncio.sleep(jittered(wait))
        wait = LOOK_SECONDS * 2 / 3  # give or take half: at most `LOOK_SECONDS`
        if service.memory.age < wait:
            continue
        try:
            await gather(service.settings, service)
        except Exception:
            # The page is no reason for a service to end.
            logger.exception("lookout.failed")
