"""Updates that could not be stored yet: the newest of each environment, in memory.

The publisher gives up after three tries within seconds (docs/architecture.md, "While
NATS is away"): what it brought meanwhile is kept here until it is stored.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from realtime import metrics
from realtime.updates import Identity, Update

logger = structlog.get_logger("sse")

Outcome = Literal["stored", "superseded", "relayed", "overflow", "left"]
"""What became of an update: stored late; not needed any more, because its environment
was updated later; taken by another instance; dropped because too many environments
waited; left behind by a process that stopped."""

SETTLED_WELL: Final = ("stored", "superseded", "relayed")


@dataclass(slots=True, eq=False)
class Kept:
    """An update that waits to be stored.

    `known` identifies the latest update of its environment that this process had read
    when it came (None: it knew of none): what it does not know of may be newer. `since`
    is when the environment began to wait (Unix seconds), `arrival` counts what this
    process was sent, and `settled` has the outcome.
    """

    update: Update
    known: Identity | None
    since: float
    arrival: int
    settled: "asyncio.Future[Outcome]"


class Outbox:
    """Keeps at most `limit` environments; beyond that the one that has waited longest
    goes. `on_change`, if given, is called with each environment of which something else
    is kept than before: an update, or nothing any more."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # In the order in which the environments began to wait.
        self._kept: dict[str, Kept] = {}
        self._arrivals = 0
        self._outcomes: Counter[Outcome] = Counter()
        self.news = asyncio.Event()
        """Set when an update is kept that was not, or is another."""
        self.on_change: Callable[[str], None] = lambda environment: None
        self.on_settled: Callable[[str, Outcome], None] = lambda environment, what: None
        """Called with each environment that waits no more, and what became of it."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, environment: str) -> Kept | None:
        """What waits for `environment`."""
        return self._kept.get(environment)

    @property
    def waiting(self) -> list[Kept]:
        """All that waits, the longest first."""
        return list(self._kept.values())

    @property
    def oldest(self) -> float | None:
        """Since when an update has waited (Unix seconds); None if none waits."""
        return next((kept.since for kept in self._kept.values()), None)

    def arrive(self) -> int:
        """The number of an update that comes in now."""
        self._arrivals += 1
        return self._arrivals

    def keep(
        self,
        update: Update,
        known: Identity | None,
        *,
        reason: str,
        since: float | None = None,
        arrival: int | None = None,
    ) -> Kept:
        """Keep `update`, for `reason`, in place of an earlier one of its environment;
        returns what is kept of the environment now.

        Of two updates the one that came later is the newer one, unless both are dated:
        then the dates say so.
        """
        arrival = self.arrive() if arrival is None else arrival
        environment = update.environment
        kept = self._kept.get(environment)
        if kept is None:
            if not self._kept:
                logger.warning("outbox.filling", reason=reason)
                self._outcomes.clear()
            kept = self._kept[environment] = Kept(
                update,
                known,
                time.time() if since is None else since,
                arrival,
                asyncio.get_running_loop().create_future(),
            )
            if len(self._kept) > self._limit:
                self._drop_oldest()
        else:
            newer = _is_newer(update, arrival, kept)
            kept.arrival = max(kept.arrival, arrival)
            if not newer or update.updated_at == kept.update.updated_at:
                return kept  # the same once more: what is known of it stays
            kept.update, kept.known = update, known
        metrics.outbox_updates.set(len(self._kept))
        self.on_change(environment)
        self.news.set()
        return kept

    def supersede(self, update: Update, arrival: int) -> None:
        """What is kept of its environment is not needed any more if it is older than
        `update`, number `arrival`, which was stored."""
        kept = self._kept.get(update.environment)
        if kept is not None and _is_newer(update, arrival, kept):
            self.settle(kept, "superseded")

    def settle(self, kept: Kept, outcome: Outcome) -> None:
        """Keep it no longer. Does nothing the second time."""
        environment = kept.update.environment
        if self._kept.get(environment) is not kept:
            return
        del self._kept[environment]
        kept.settled.set_result(outcome)
        metrics.outbox_settled[outcome].inc()
        metrics.outbox_updates.set(len(self._kept))
        self._outcomes[outcome] += 1
        self.on_change(environment)
        self.on_settled(environment, outcome)
        if not self._kept:
            counts = {str(outcome): count for outcome, count in self._outcomes.items()}
            logger.info("outbox.emptied", **counts)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._kept.values()))
        logger.error(
            "update.dropped",
            environment__key=oldest.update.environment,
            updated_at=oldest.update.updated_at,
            reason=f"more than {self._limit} environments wait for NATS",
        )
        self.settle(oldest, "overflow")


async def settled_by(kept: Kept, deadline: float) -> Outcome | None:
    """What became of `kept`; None if it still waits at `deadline` (event loop's
    time)."""
    seconds = deadline - asyncio.get_running_loop().time()
    await asyncio.wait([kept.settled], timeout=max(0, seconds))
    return kept.settled.result() if kept.settled.done() else None


def _is_newer(update: Update, arrival: int, kept: Kept) -> bool:
    """Whether `update`, number `arrival`, is newer than what is `kept`: by their dates
    if both have one, because a retry may come after the update that followed, and what
    a dead process left is found in any order."""
    if update.dated and kept.update.dated and update.seconds != kept.update.seconds:
        return update.seconds > kept.update.seconds
    return arrival > kept.arrival
