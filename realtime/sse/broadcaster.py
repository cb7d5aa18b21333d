"""Writes updates to subscribers, a few milliseconds at a time.

What is read is kept first and written afterwards: updates may come faster than they can
be written to everybody, and publishers, probes and what comes from NATS must not wait
for that. Who has not been written to yet gets the newest only.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import structlog

from realtime import metrics
from realtime.sse.latest import Latest
from realtime.sse.subscriber import Subscriber

logger = structlog.get_logger("sse")

TURN_SECONDS: Final = 0.005
"""For how long subscribers are written to before the event loop does other work: some
500 subscribers. A turn of the loop itself costs some 20 µs."""

CHECKED: Final = 32
"""How many subscribers are written to between two looks at the clock."""

OnWritten = Callable[[int], None]
"""Called with the number of subscribers, once an update or a later one of its
environment has been written to all."""


class _Delivery:
    """The latest update of one environment, and those who are to get it."""

    __slots__ = ("latest", "on_written", "subscribers", "writing")

    subscribers: Mapping[Subscriber, None]
    latest: Latest

    def __init__(self) -> None:
        self.on_written: list[OnWritten] = []
        """To be called when all have got what is the latest now."""
        self.writing: Iterator[None] | None = None
        """Writes to `CHECKED` subscribers more with each step."""


class Broadcaster:
    """Writes to the subscribers of one environment after the other. Where one turn is
    not enough for an environment, the others have theirs before it goes on.

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
        # By environment, in turn.
        self._deliveries: OrderedDict[str, _Delivery] = OrderedDict()
        self._finished: list[tuple[list[OnWritten], int]] = []
        """What is to be called for those that were written to, with their number."""
        self._written = 0
        """How many writes have not been counted yet."""
        self._scheduled = False

    def offer(
        self,
        environment: str,
        subscribers: Mapping[Subscriber, None],
        latest: Latest,
    ) -> list[OnWritten]:
        """Write `latest` to all `subscribers` of `environment`, soon; returns the list
        to add to, now, what is to be called then.

        A few are written to at once, where nothing else has been offered in this turn
        of the event loop: of an update that comes alone, a turn would be a tenth of its
        time.
        """
        if not self._scheduled and len(subscribers) <= CHECKED:
            self._write(tuple(subscribers), latest)
            on_written: list[OnWritten] = []
            self._finished.append((on_written, len(subscribers)))
            self._schedule()
            return on_written
        delivery = self._deliveries.get(environment)
        if delivery is None:
            delivery = self._deliveries[environment] = _Delivery()
            self._schedule()
        delivery.subscribers = subscribers
        delivery.latest = latest
        return delivery.on_written

    def _schedule(self) -> None:
        """There is something to do in the next turn of the event loop."""
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._on_turn)

    def _on_turn(self) -> None:
        self._scheduled = False
        self._finish()
        if self._deliveries:
            self._turn()

    def _finish(self) -> None:
        """Say that the last turn's updates are written: uvloop sends what a turn has
        written when the turn ends, so that this is not to be done in the same one."""
        finished, self._finished = self._finished, []
        if self._written:
            metrics.http_writes["data"].inc(self._written)
            self._written = 0
        for callbacks, subscribers in finished:
            for callback in callbacks:
                # One that raised here would keep every update from being written.
                try:
                    callback(subscribers)
                except Exception:
                    logger.exception("update.told_failed")

    def _turn(self) -> None:
        """Write for `TURN_SECONDS`, and go on in the next turn of the event loop if
        somebody is left."""
        deadline = self._clock() + TURN_SECONDS
        while self._deliveries:
            environment, delivery = self._deliveries.popitem(last=False)
            if delivery.writing is None:
                delivery.writing = self._write_all(delivery)
            for _ in delivery.writing:
                if self._clock() >= deadline:
                    self._deliveries[environment] = delivery
                    break
            if self._clock() >= deadline:
                break
        self._schedule()

    def _write_all(self, delivery: _Delivery) -> Iterator[None]:
        """Write to everybody, again and again, until nothing newer came meanwhile."""
        latest: Latest | None = None
        while latest is not delivery.latest:
            latest = delivery.latest
            callbacks, delivery.on_written = delivery.on_written, []
            # In the order of their connections, which is the order in memory, of the
            # kernel's sockets too. Who comes later gets the latest on subscribing.
            subscribers = list(delivery.subscribers)
            for start in range(0, len(subscribers), CHECKED):
                if start:
                    yield
                self._write(subscribers[start : start + CHECKED], delivery.latest)
            self._finished.append((callbacks, len(delivery.subscribers)))

    def _write(self, subscribers: Iterable[Subscriber], latest: Latest) -> None:
        """Write to those that have not got `latest` yet, and have not ended."""
        frame = latest.frame
        written = 0
        for subscriber in subscribers:
            if subscriber.latest is latest or subscriber.environment is None:
                continue
            subscriber.latest = latest
            # Costs nothing unless it raises.
            try:
                subscriber.write(frame)
                written += 1
            except Exception as error:
                self._give_up(subscriber, error)
        self._written += written
