"""Which instances came, left and died, by their beacons.

An instance whose beacon stops without a last word has died, unless this process cannot
know: it stood still itself, or NATS was away. A worker whose supervisor replaces it has
not died as an instance.
"""

import time
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from realtime.fleet.messages import Sighting
from realtime.fleet.presence import BEACON_SECONDS
from realtime.fleet.timeline.dead_instances import DeadInstances
from realtime.fleet.timeline.departures import Departures
from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.events import MOST_WORDS, Came, Died, Gone, WorkerDied
from realtime.fleet.timeline.instance_registry import (
    InstanceRegistry,
    KnownInstance,
    have_one_supervisor,
)
from realtime.fleet.timeline.messages import Death, EventsAnswer

DEATH_SECONDS: Final = 5 * BEACON_SECONDS
"""Of silence. An event loop that stands still for longer is killed by its
supervisor."""

UNSURE_SECONDS: Final = 15 * BEACON_SECONDS
"""Of silence after NATS was away: every instance takes its time to come back."""

PAUSE_SECONDS: Final = 3 * BEACON_SECONDS
"""Between two looks: it was this process that stood still."""

SETTLE_SECONDS: Final = 2.5 * BEACON_SECONDS
"""After it has joined, a process hears of those that were there before it."""


class FailureDetector:
    """What one process knows of the others, noted in `events`. `me` is its own name,
    `opened` counts the event streams that were opened here, and `clock` counts seconds
    from anywhere."""

    def __init__(
        self,
        events: EventMemory,
        *,
        me: Callable[[], Sighting],
        opened: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._me = me
        self._clock = clock
        self._registry = InstanceRegistry()
        self._departures = Departures(events, me, opened, clock)
        self.dead = DeadInstances(events)
        self._joined_at: float | None = None
        self._looked_at = clock()
        self._introduced = False

    @property
    def awaited(self) -> int:
        """How many have not been heard of yet since NATS was away."""
        return sum(known.unsure for known in self._registry.everybody())

    def joined(self) -> None:
        """This process hears the others from now on, for the first time, or again."""
        self._excuse(unsure=self._joined_at is not None)
        self._joined_at = self._clock()

    def heard(self, sighting: Sighting) -> None:
        """An instance has let itself be heard of."""
        if sighting.instance == self._me().instance:
            return
        known = self._registry.get(sighting.instance)
        if sighting.left:
            self.dead.back(sighting.instance)
            if known is not None:
                self._registry.remove(known)
            self._departures.left(known, sighting)
            return
        self.dead.heard(sighting.instance)
        if known is None and (known := self._on_new(sighting)) is None:
            return  # too many: some of them are made up
        known.sighting = sighting
        known.heard_at, known.seen_at = self._clock(), self._events.clock()
        known.unsure = False
        if sighting.draining:
            self._departures.draining(known)

    def look(self) -> None:
        """With each beacon: who has not been heard of for too long?"""
        now = self._clock()
        if now - self._looked_at > PAUSE_SECONDS:
            self._excuse(unsure=False)
        self._looked_at = now
        for known in self._registry.silent(now - DEATH_SECONDS):
            if not known.unsure or now - known.heard_at >= UNSURE_SECONDS:
                self._registry.remove(known)
                self._on_silent(known)
        self._departures.look()
        if self._settled and not self._introduced:
            self._introduced = True
            self._introduce()

    def learn(self, answer: EventsAnswer) -> None:
        """What another instance knew when this process came."""
        for instance in answer.dismissed:
            self.dead.dismiss(instance)
        for death in answer.deaths:
            instance = death.sighting.instance
            if not (
                instance == self._me().instance
                or instance in self.dead.dismissed
                or self._registry.get(instance)
                or self._departures.has_left(instance)
                or self._registry.has_successor(death)
            ):
                self.dead.add(death, None)

    def _excuse(self, *, unsure: bool) -> None:
        """What was not heard until now may have been said."""
        now = self._clock()
        for known in self._registry.everybody():
            known.heard_at = now
            known.unsure = known.unsure or unsure

    @property
    def _settled(self) -> bool:
        since = self._joined_at
        return since is not None and self._clock() - since >= SETTLE_SECONDS

    def _on_new(self, sighting: Sighting) -> KnownInstance | None:
        now = self._events.clock()
        # Who was there before this process came only seems to be new.
        came_at = now if self._settled else min(sighting.started_at or 0.0, now)
        known = self._registry.add(sighting, came_at=came_at)
        if known is None:
            return None
        me = self._me()
        if (
            me.worker is not None
            and (me.host, me.worker) == known.place
            and have_one_supervisor(me, sighting)
            and (me.started_at or 0.0) > (sighting.started_at or 0.0)
        ):
            known.succeeded_at = me.started_at
        succeeds = self.dead.back_if(self._registry.has_successor) or known.replaces
        if self._settled and not succeeds:
            self._events.note(Came.of(sighting, seen_by=me.instance, at=now))
        return known

    def _on_silent(self, known: KnownInstance) -> None:
        sighting, me, at = known.sighting, self._me().instance, known.seen_at
        if sighting.draining:
            # It was on its way out, and its last word was lost.
            self._departures.left(known, sighting)
        elif known.unsure:
            gone = self._events.note(Gone.of(sighting, seen_by=me, at=at))
            self.dead.add_gone(gone)
        elif known.succeeded_at is not None and sighting.worker is not None:
            died = WorkerDied(
                seen_by=me,
                at=at,
                until=known.succeeded_at,
                host=sighting.host[:MOST_WORDS],
                worker=sighting.worker,
                pid=sighting.pid,
            )
            self._events.note(died)
        else:
            self._on_death(Died.of(sighting, seen_by=me, at=at), sighting)

    def _on_death(self, event: Died, sighting: Sighting) -> None:
        # As short as it can be: there may be many, made up by somebody.
        short = replace(
            sighting, host=sighting.host[:100], address=None, drained_by=None
        )
        death = Death(sighting=short, at=event.at)
        if self._registry.has_successor(death):
            event = replace(event, until=self._events.clock())
        else:
            self.dead.add(death, event)
        self._events.note(event)

    def _introduce(self) -> None:
        """Note this process's own coming, unless it takes another's place."""
        me = self._me()
        if not self._registry.is_taken(me) and not self._is_replacement(me):
            at = me.started_at or self._events.clock()
            self._events.note(Came.of(me, seen_by=me.instance, at=at))

    def _is_replacement(self, me: Sighting) -> bool:
        return me.worker is not None and any(
            isinstance(event, WorkerDied)
            and (event.host, event.worker) == (me.host, me.worker)
            for event in self._events.newest_first()
        )
