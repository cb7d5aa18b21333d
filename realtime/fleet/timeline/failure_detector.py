"""Which instances came, left and died, by their beacons.

An instance whose beacon stops without a last word has died, unless this process cannot
know: it stood still itself, or NATS was away. A worker whose supervisor replaces it has
not died as an instance.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from realtime.fleet.messages import Sighting
from realtime.fleet.presence import BEACON_SECONDS
from realtime.fleet.timeline.departures import Leavers
from realtime.fleet.timeline.event_memory import Happenings
from realtime.fleet.timeline.events import (
    MOST_WORDS,
    Came,
    Died,
    Dismissed,
    Gone,
    WorkerDied,
)
from realtime.fleet.timeline.instance_registry import (
    Attendance,
    Attending,
    have_one_supervisor,
)
from realtime.fleet.timeline.messages import MOST_DEATHS, Account, Death

DEATH_SECONDS: Final = 5 * BEACON_SECONDS
"""Of silence. An event loop that stands still for longer is killed by its
supervisor."""

UNSURE_SECONDS: Final = 15 * BEACON_SECONDS
"""Of silence after NATS was away: every instance takes its time to come back."""

PAUSE_SECONDS: Final = 3 * BEACON_SECONDS
"""Between two looks: it was this process that stood still."""

SETTLE_SECONDS: Final = 2.5 * BEACON_SECONDS
"""After it has joined, a process hears of those that were there before it."""


class Deaths:
    """What one process knows of the others. `me` is its own name, `opened` counts the
    event streams that were opened here, and `clock` counts seconds from anywhere."""

    def __init__(
        self,
        happenings: Happenings,
        *,
        me: Callable[[], Sighting],
        opened: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._happenings = happenings
        self._me = me
        self._clock = clock
        self._attendance = Attendance()
        self._leavers = Leavers(happenings, opened, clock)
        self._dead: dict[str, tuple[Death, Died | None]] = {}
        self._gone: dict[str, Gone] = {}
        self._dismissed: dict[str, None] = {}
        self._joined_at: float | None = None
        self._looked_at = clock()
        self._introduced = False

    @property
    def dead(self) -> tuple[Death, ...]:
        """Those that have died and are expected back."""
        return tuple(death for death, _ in self._dead.values())

    @property
    def dismissed(self) -> tuple[str, ...]:
        return tuple(self._dismissed)

    @property
    def awaited(self) -> int:
        """How many have not been heard of yet since NATS was away."""
        return sum(known.unsure for known in self._attendance.everybody())

    def joined(self) -> None:
        """This process hears the others from now on, for the first time, or again."""
        self._excuse(unsure=self._joined_at is not None)
        self._joined_at = self._clock()

    def heard(self, sighting: Sighting) -> None:
        """An instance has let itself be heard of."""
        if sighting.instance == self._me().instance:
            return
        if sighting.left:
            self._on_left(sighting)
            return
        self._dismissed.pop(sighting.instance, None)
        self._on_back(sighting.instance)
        known = self._attendance.get(sighting.instance)
        if known is None:
            known = self._on_new(sighting)
            if known is None:
                return  # too many: some of them are made up
        known.sighting = sighting
        known.heard_at, known.seen_at = self._clock(), self._happenings.clock()
        known.unsure = False
        if sighting.draining:
            self._leavers.draining(known)

    def look(self) -> None:
        """With each beacon: who has not been heard of for too long?"""
        now = self._clock()
        if now - self._looked_at > PAUSE_SECONDS:
            self._excuse(unsure=False)
        self._looked_at = now
        for known in self._attendance.silent(now - DEATH_SECONDS):
            if not known.unsure or now - known.heard_at >= UNSURE_SECONDS:
                self._attendance.remove(known)
                self._on_silent(known)
        self._leavers.look()
        self._introduce()

    def dismiss(self, dismissed: Dismissed) -> None:
        """Somebody does not expect an instance back."""
        self._dead.pop(dismissed.instance, None)
        self._remember_dismissed(dismissed.instance)
        self._happenings.note(replace(dismissed, seen_by=self._me().instance))

    def learn(self, account: Account) -> None:
        """What another instance knew when this process came."""
        for instance in account.dismissed:
            self._dead.pop(instance, None)
            self._remember_dismissed(instance)
        for death in account.deaths:
            instance = death.sighting.instance
            if not (
                instance == self._me().instance
                or instance in self._dismissed
                or self._attendance.get(instance)
                or self._leavers.has_left(instance)
                or self._attendance.has_successor(death)
            ):
                self._add(death, None)

    def _excuse(self, *, unsure: bool) -> None:
        """What was not heard until now may have been said."""
        now = self._clock()
        for known in self._attendance.everybody():
            known.heard_at = now
            known.unsure = known.unsure or unsure

    @property
    def _settled(self) -> bool:
        since = self._joined_at
        return since is not None and self._clock() - since >= SETTLE_SECONDS

    def _on_new(self, sighting: Sighting) -> Attending | None:
        now = self._happenings.clock()
        # Who was there before this process came only seems to be new.
        came_at = now if self._settled else min(sighting.started_at or 0.0, now)
        known = self._attendance.add(sighting, came_at=came_at)
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
        resolved = [
            instance
            for instance, (death, _) in self._dead.items()
            if self._attendance.has_successor(death)
        ]
        for instance in resolved:
            self._on_back(instance)
        if self._settled and not resolved and not known.replaces:
            self._happenings.note(Came(**self._about(sighting), at=now))
        return known

    def _on_left(self, sighting: Sighting) -> None:
        self._on_back(sighting.instance)
        known = self._attendance.get(sighting.instance)
        if known is not None:
            self._attendance.remove(known)
        self._leavers.left(known, sighting, **self._about(sighting))

    def _on_back(self, instance: str) -> None:
        """It, or its successor, is there."""
        _, died = self._dead.pop(instance, (None, None))
        for event in (died, self._gone.pop(instance, None)):
            if event is not None:
                self._happenings.note(replace(event, until=self._happenings.clock()))

    def _on_silent(self, known: Attending) -> None:
        sighting, about = known.sighting, self._about(known.sighting)
        until = self._happenings.clock()
        if sighting.draining:
            # It was on its way out, and its last word was lost.
            self._leavers.left(known, sighting, **about)
        elif known.unsure:
            gone = self._happenings.note(Gone(**about, at=known.seen_at))
            self._gone[sighting.instance] = gone
            if len(self._gone) > MOST_DEATHS:
                del self._gone[next(iter(self._gone))]
        elif known.succeeded_at is not None and sighting.worker is not None:
            self._happenings.note(
                WorkerDied(
                    seen_by=self._me().instance,
                    at=known.seen_at,
                    until=known.succeeded_at,
                    host=sighting.host[:MOST_WORDS],
                    worker=sighting.worker,
                    pid=sighting.pid,
                )
            )
        else:
            event = Died(**about, at=known.seen_at)
            # As short as it can be: there may be many, made up by somebody.
            short = replace(
                sighting, host=sighting.host[:100], address=None, drained_by=None
            )
            death = Death(sighting=short, at=known.seen_at)
            if self._attendance.has_successor(death):
                event = replace(event, until=until)
            else:
                self._add(death, event)
            self._happenings.note(event)

    def _add(self, death: Death, event: Died | None) -> None:
        instance = death.sighting.instance
        if instance not in self._dead and len(self._dead) < MOST_DEATHS:
            self._dead[instance] = death, event

    def _remember_dismissed(self, instance: str) -> None:
        self._dismissed[instance] = None
        if len(self._dismissed) > MOST_DEATHS:
            del self._dismissed[next(iter(self._dismissed))]

    def _introduce(self) -> None:
        """Note this process's own coming, once it is known whose place it takes."""
        if not self._introduced and self._settled:
            self._introduced = True
            me = self._me()
            if not self._attendance.is_taken(me) and not self._is_replacement(me):
                at = me.started_at or self._happenings.clock()
                self._happenings.note(Came(**self._about(me), at=at))

    def _is_replacement(self, me: Sighting) -> bool:
        return me.worker is not None and any(
            isinstance(event, WorkerDied)
            and (event.host, event.worker) == (me.host, me.worker)
            for event in self._happenings.newest_first()
        )

    def _about(self, sighting: Sighting) -> dict[str, Any]:
        return {
            "seen_by": self._me().instance,
            "instance": sighting.instance,
            "host": sighting.host[:MOST_WORDS],
            "pid": sighting.pid,
            "worker": sighting.worker,
        }
