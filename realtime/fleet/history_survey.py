"""Asks every instance for its last hour."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nats.aio.client import Client

from realtime.fleet.history import FleetHistory, merge
from realtime.fleet.minutes import HISTORY, MINUTE_SECONDS, History
from realtime.fleet.survey import ask_everybody

if TYPE_CHECKING:
    from realtime.service import RealtimeService


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
