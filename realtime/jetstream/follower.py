"""Follows what others do to the stream while it is in use: nobody tells of it."""

from collections.abc import Callable
from typing import Final

import structlog
from nats.aio.client import Client

from realtime import metrics
from realtime.backoff import jittered
from realtime.exceptions import NatsUnavailable, StreamIncompatible
from realtime.jetstream.delivery_watch import DeliveryWatch
from realtime.jetstream.stream import StreamState
from realtime.jetstream.stream_keeper import StreamKeeper

logger = structlog.get_logger("sse")

FOLLOW_SECONDS: Final = 3.0
"""How often the stream is looked at, give or take half."""

AGAIN_SECONDS: Final = 1.5
"""Before a second look where the first found nothing. With two answers that do not come
(2 s each) that is 10 s at most, and in the mean as long as a cluster takes to elect a
leader."""


async def follow_stream(
    client: Client,
    keeper: StreamKeeper,
    watch: DeliveryWatch,
    on_state: Callable[[StreamState], None],
) -> None:
    """For ever, make the stream again if it was deleted, restore what was changed of
    what the service needs, call `on_state` with what it is, and have the `watch` look
    whether that is delivered.

    One that cannot be brought up to date is used as long as it works: what cannot be
    changed is refused at the next start.

    Raises `NatsUnavailable` if it cannot be looked at twice in a row: a server that was
    cut off from its cluster keeps its clients' connections and their consumers alive,
    and nothing comes from it. So it does if the `watch` finds that nothing is
    delivered.
    """
    missed = False
    refused = ""
    while True:
        seconds = AGAIN_SECONDS if missed else jittered(FOLLOW_SECONDS)
        await watch.pause(seconds, AGAIN_SECONDS)
        try:
            state = await keeper.ensure(client)
        except NatsUnavailable:
            if missed:
                raise
            missed = True
            continue
        except StreamIncompatible as error:
            if refused != (refused := str(error)):
                logger.warning("stream.incompatible", reason=refused)
            continue
        missed, refused = False, ""
        if state.changed:
            # It was in order when this session began.
            metrics.nats_errors["create_jetstream"].inc()
        if state.seen:
            on_state(state)
        await watch.look(state)
