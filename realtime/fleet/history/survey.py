"""Asks every instance for its last hour."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from nats.aio.client import Client

from realtime.exceptions import NatsUnavailable
from realtime.fleet.history.fleet_history import FleetHistory, merge
from realtime.fleet.history.minutes import HISTORY, MINUTE_SECONDS, History
from realtime.fleet.survey import ask_everybody

if TYPE_CHECKING:
    from realtime.service import RealtimeService

LATE_SECONDS: Final = 0.1
"""For what was asked beside something else to be answered when that is: an instance of
an older version has no history to tell."""


@asynccontextmanager
async def asked_beside(
    client: Client, service: "RealtimeService | None"
) -> AsyncIterator[list[History]]:
    """Ask every instance for its history while the block runs, which asks something
    else; the list has what was told soon after its end. `service` is this process's
    own, if it runs one."""
    histories: list[History] = []
    asking = asyncio.create_task(
        ask_everybody(client, service, HISTORY, History, into=histories)
    )
    try:
        yield histories
        await asyncio.wait([asking], timeout=LATE_SECONDS)
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError, NatsUnavailable):
            await asking


async def history_of(
    heard: Sequence[History],
    service: "RealtimeService | None",
    expected: Iterable[str],
) -> FleetHistory:
    """The sums of what was `heard`, which is complete if all `expected` instances are
    among it, and of the hour of this process's own `service` in any case."""
    told = {history.instance for history in heard}
    own = [service.history()] if service is not None else []
    return await merge(
        [*heard, *(one for one in own if one.instance not in told)],
        time.time(),
        complete=bool(told) and told.issuperset(expected),
    )


async def gather_history(
    client: Client,
    service: "RealtimeService | None",
    seconds: float = MINUTE_SECONDS,
) -> FleetHistory:
    """Ask every instance; `service` is this process's own, if it runs one. Takes a
    second at most. Raises `NatsUnavailable`."""
    histories = await ask_everybody(client, service, HISTORY, History)
    alive = max((history.alive for history in histories), default=0)
    complete = len({history.instance for history in histories}) >= alive > 0
    return await merge(histories, time.time(), complete=complete, seconds=seconds)
