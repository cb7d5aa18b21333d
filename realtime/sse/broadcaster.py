"""Tells subscribers what is new, a few milliseconds at a time.

What is read is noted first and told afterwards: updates may come faster than everybody
can be told of them, and publishers, probes and what comes from NATS must not wait for
that. Whoever has not been told yet is told the newest only.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from realtime import metrics
from realtime.sse.subscriber import Subscriber

if TYPE_CHECKING:
    from realtime.sse.hub import Latest

logger = structlog.get_logger("sse")

TURN_SECONDS: Final = 0.005
"""For how long subscribers are told before the event loop does other work: some 500
subscribers. A turn of the loop itself costs some 20 µs."""

CHECKED: Final = 32
"""How many subscribers are told between two looks at the clock."""

OnTold = Callable[[int], None]
"""Called with the number of subscribers, once all have been told an update or a later
one of their environment."""


class Broadcaster:
    """Tells the subscribers of one environment after the other. Where one turn is not
    enough for an environment, the others have theirs before it goes on.

    `give_up` is called with a subscriber that raised, and with what it raised;
    `call_soon` has the event loop call something in its next turn; `clock` counts
    seconds from anywhere.
    """

    def __init__(
        self,
        give_up: Callable[[Subscriber, Exception], None],
        call_soon: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._give_up = give_up
        self._call_soon = call_soon
        self._clock = clock
        # Those that have something to tell, in turn.
        self._queue: deque[str] = deque()
        self._deliveries: dict[str, _Delivery] = {}
        self._told: list[tuple[list[OnTold], int]] = []
        """What is to be called for those that have been told, with their number."""
        self._written = 0
        """How many writes have not been counted yet."""
        self._scheduled = False

    def offer(
        self,
        environment: str,
        subscribers: Mapping[Subscriber, None],
        latest: "Latest",
    ) -> list[OnTold]:
        """Tell all `subscribers` of `environment`, soon, that `latest` is its latest
        update; returns the list to add to, now, what is to be called then.

        A few are told at once, where nothing else has been offered in this turn of the
        event loop: of an update that comes alone, a turn would be a tenth of its time.
        """
        if not self._scheduled and len(subscribers) <= CHECKED:
            return self._tell_at_once(subscribers, latest)
        delivery = self._deliveries.get(environment)
        if delivery is None:
            delivery = self._deliveries[environment] = _Delivery()
            self._queue.append(environment)
            self._schedule()
        delivery.subscribers = subscribers
        delivery.latest = latest
        return delivery.on_told

    def _tell_at_once(
        self, subscribers: Mapping[Subscriber, None], latest: "Latest"
    ) -> list[OnTold]:
        self._write(tuple(subscribers), latest)
        on_told: list[OnTold] = []
        self._told.append((on_told, len(subscribers)))
        self._schedule()
        return on_told

    def _schedule(self) -> None:
        """There is something to do in the next turn of the event loop."""
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._on_turn)

    def _on_turn(self) -> None:
        self._scheduled = False
        self._finish()
        if self._queue:
            self._turn()

    def _finish(self) -> None:
        """Say of those who were told that they were: uvloop sends what a turn has
        written when the turn ends, so that this is not to be done in the same one."""
        finished, self._told = self._told, []
        if self._written:
            metrics.http_writes["data"].inc(self._written)
            self._written = 0
        for callbacks, subscribers in finished:
            for callback in callbacks:
                # One that raised here would leave every environment untold for ever.
                try:
                    callback(subscribers)
                except Exception:
                    logger.exception("update.told_failed")

    def _turn(self) -> None:
        """Tell subscribers for `TURN_SECONDS`, and go on in the next turn of the event
        loop if some are left."""
        deadline = self._clock() + TURN_SECONDS
        while self._queue:
            environment = self._queue.popleft()
            delivery = self._deliveries[environment]
            if self._tell(delivery, deadline):
                del self._deliveries[environment]
            else:
                self._queue.append(environment)
            if self._clock() >= deadline:
                break
        self._schedule()

    def _tell(self, delivery: "_Delivery", deadline: float) -> bool:
        """Go on with `delivery` until `deadline`; whether it is complete."""
        if not delivery.under_way:
            delivery.begin_pass()
        turn = delivery.pass_over
        while delivery.position < len(turn):
            end = delivery.position + CHECKED
            self._write(turn[delivery.position : end], delivery.latest)
            delivery.position = end
            if self._clock() >= deadline:
                break
        if delivery.position < len(turn):
            return False
        self._told.append((delivery.covered, len(delivery.subscribers)))
        return delivery.end_pass()

    def _write(self, subscribers: Iterable[Subscriber], latest: "Latest") -> None:
        """Write to those that have not been told, and have not ended."""
        frame = latest.frame
        written = 0
        for subscriber in subscribers:
            if subscriber.told is latest or subscriber.environment is None:
                continue
            subscriber.told = latest
            # Costs nothing unless it raises.
            try:
                subscriber.write(frame)
                written += 1
            except Exception as error:
                self._give_up(subscriber, error)
        self._written += written


class _Delivery:
    """What one environment's subscribers are to be told: pass after pass over all of
    them, until a pass ends in which nothing newer came."""

    __slots__ = (
        "_first",
        "covered",
        "latest",
        "on_told",
        "pass_over",
        "position",
        "subscribers",
        "under_way",
    )

    subscribers: Mapping[Subscriber, None]
    latest: "Latest"

    def __init__(self) -> None:
        self.on_told: list[OnTold] = []
        """To be called when all have been told what is the latest now."""
        self.covered: list[OnTold] = []
        """To be called when this pass is over."""
        self.pass_over: list[Subscriber] = []
        self.position = 0
        self.under_way = False

    def begin_pass(self) -> None:
        # In the order of their connections, which is the order in memory, of the
        # kernel's sockets too. Who comes later gets the latest on subscribing.
        self.pass_over = list(self.subscribers)
        self.position = 0
        self.under_way = True
        self._first = self.latest
        self.covered, self.on_told = self.on_told, []

    def end_pass(self) -> bool:
        """All have been told; whether nothing newer has come meanwhile."""
        self.under_way = False
        self.pass_over = []
        return self.latest is self._first
