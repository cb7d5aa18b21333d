"""Follows what others do to the stream while it is in use: nobody tells of it."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from nats.aio.client import Client

from realtime import metrics
from realtime.conf import RealtimeSettings, jittered
from realtime.exceptions import NatsUnavailable, StreamIncompatible
from realtime.stream import StreamState, ensure_stream

logger = structlog.get_logger("sse")

FOLLOW_SECONDS: Final = 10.0
"""How often the stream is looked at, give or take half."""


async def follow_stream(
    client: Client,
    settings: RealtimeSettings,
    on_state: Callable[[StreamState], None],
) -> None:
    """For ever, make the stream again if it was deleted, bring it up to date if it was
    reconfigured, and call `on_state` with what it is.

    One that cannot be brought up to date is used as long as it works: what cannot be
    changed is refused at the next start.
    """
    while True:
        await asyncio.sleep(jittered(FOLLOW_SECONDS))
        try:
            state = await ensure_stream(client, settings)
        except NatsUnavailable:
            continue  # the consumer notices, if it lasts
        except StreamIncompatible as error:
            logger.warning("stream.incompatible", reason=str(error))
            continue
        if state.changed:
            # It was in order when this session began.
            metrics.nats_errors["create_jetstream"].inc()
        on_state(state)
