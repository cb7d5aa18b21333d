"""Tells subscribers what is new, a few milliseconds at a time.

What is read is noted first and told afterwards: updates may come faster than everybody
can be told of them, and publishers, probes and what comes from NATS must not wait for
that. Whoever has not been told yet is told the newest only.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from realtime import metrics
from realtime.subscriber import Subscriber

if TYPE_CHECKING:
    from realtime.hub import Latest

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

    def offer(
        self,
        environment: str,
        subscribers: Mapping[Subscriber, None],
        latest: "Latest",
    ) -> list[OnTold]:
        """Tell all `subscribers` of `environment`, soon, that `latest` is its latest
        update; returns the list to add to, now, what is to be called then."""
        delivery = self._deliveries.get(environment)
        if delivery is None:
            delivery = self._deliveries[environment] = _Delivery()
            if not self._queue:
                self._call_soon(self.turn)
            self._queue.append(environment)
        delivery.subscribers = subscribers
        delivery.latest = latest
        return delivery.on_told

    def turn(self) -> None:
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
        if self._queue:
            self._call_soon(self.turn)

    def _tell(self, delivery: "_Delivery", deadline: float) -> bool:
        """Go on with `delivery` until `deadline`; whether it is complete."""
        if not delivery.under_way:
            delivery.begin_pass()
        latest, turn = delivery.latest, delivery.pass_over
        frame = latest.frame
        told = 0
        while delivery.position < len(turn):
            end = delivery.position + CHECKED
            for subscriber in turn[delivery.position : end]:
                if subscriber.told is latest or subscriber.environment is None:
                    continue
                subscriber.told = latest
                # Costs nothing unless it raises.
                try:
                    subscriber.write(frame)
                    told += 1
                except Exception as error:
                    self._give_up(subscriber, error)
            delivery.position = end
            if self._clock() >= deadline:
                break
        metrics.http_writes["data"].inc(told)
        return delivery.position >= len(turn) and delivery.end_pass()


class _Delivery:
    """What one environment's subscribers are to be told: pass after pass over all of
    them, until a pass ends in which nothing newer came."""

    __slots__ = (
        "_covered",
        "_first",
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
        self._covered: list[OnTold] = []
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
        self._covered, self.on_told = self.on_told, []

    def end_pass(self) -> bool:
        """Say that all have been told; whether nothing newer has come meanwhile."""
        self.under_way = False
        self.pass_over = []
        for callback in self._covered:
            # One that raised here would leave every environment untold for ever.
            try:
                callback(len(self.subscribers))
            except Exception:
                logger.exception("update.told_failed")
        self._covered = []
        return self.latest is self._first
