"""A process that shows the page looks at the fleet although nobody asks: so that it
knows since when something is wrong, and the figures of before NATS was lost."""

import asyncio
from typing import Final

import structlog

from realtime.backoff import jittered
from realtime.conf import RealtimeSettings
from realtime.fleet.agent import Agent
from realtime.fleet.overview import gather
from realtime.fleet.overview_memory import LOOK_SECONDS

logger = structlog.get_logger("sse")

FIRST_SECONDS: Final = 3.0
"""After the start: by then the instances have heard of each other."""


async def watch_fleet(settings: RealtimeSettings, agent: Agent) -> None:
    """Look again and again, for ever, unless somebody else has just done so. To begin
    when the process is ready."""
    wait = FIRST_SECONDS
    while True:
        await asyncio.sleep(jittered(wait))
        wait = LOOK_SECONDS * 2 / 3  # give or take half: at most `LOOK_SECONDS`
        if agent.overview_memory.age < wait:
            continue
        try:
            await gather(settings, agent)
        except Exception:
            # The page is no reason for a service to end.
            logger.exception("lookout.failed")
