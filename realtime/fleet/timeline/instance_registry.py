"""The instances that are heard of now, and whose place each of them takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from realtime.fleet.messages import Sighting
from realtime.fleet.timeline.messages import Death

MAX_INSTANCES: Final = 1000
"""Whoever may publish on NATS may make instances up: they must not fill the memory, nor
displace those that are known."""

_Place = tuple[str, int | None]


@dataclass(slots=True, eq=False)
class KnownInstance:
    """An instance, with the `place` that it had when it `came_at` (Unix seconds). It
    was heard of last `heard_at` (seconds from anywhere), or `seen_at` (Unix seconds).

    `unsure`: NATS was away since it was heard of. `replaces`: it came to a place that
    another held, which was `succeeded_at` then. `draining_at` is when it was seen to
    drain first, and `opened` how many streams had been opened here until then.
    """

    sighting: Sighting
    place: _Place
    came_at: float
    heard_at: float = 0.0
    seen_at: float = 0.0
    unsure: bool = False
    replaces: bool = False
    succeeded_at: float | None = None
    draining_at: float | None = None
    opened: int = 0


@dataclass(slots=True)
class _Host:
    """`count` instances are there; it `came_at` a time, the `newest` of them later."""

    came_at: float
    newest: float
    count: int = 0


class InstanceRegistry:
    """Every look-up takes the same time, however many there are."""

    def __init__(self) -> None:
        self._instances: dict[str, KnownInstance] = {}
        self._places: dict[_Place, KnownInstance] = {}
        self._hosts: dict[str, _Host] = {}

    def get(self, instance: str) -> KnownInstance | None:
        return self._instances.get(instance)

    def everybody(self) -> Iterable[KnownInstance]:
        return self._instances.values()

    def add(self, sighting: Sighting, *, came_at: float) -> KnownInstance | None:
        """Someone new; None if there is no room."""
        if len(self._instances) >= MAX_INSTANCES:
            return None
        place = _place_of(sighting)
        new = self._instances[sighting.instance] = KnownInstance(
            sighting, place, came_at
        )
        held = self._places.get(place)
        alike = held is not None and have_one_supervisor(held.sighting, sighting)
        if held is not None and held.came_at > came_at:
            # Who was there before this process came is not heard of in order.
            new.succeeded_at = held.came_at if alike else None
        else:
            self._places[place] = new
            if held is not None and alike and sighting.worker is not None:
                new.replaces, held.succeeded_at = True, came_at
        host = self._hosts.setdefault(sighting.host, _Host(came_at, came_at))
        host.newest = max(host.newest, came_at)
        host.count += 1
        return new

    def remove(self, known: KnownInstance) -> None:
        del self._instances[known.sighting.instance]
        if self._places.get(known.place) is known:
            del self._places[known.place]
        name, _ = known.place
        self._hosts[name].count -= 1
        if not self._hosts[name].count:
            del self._hosts[name]

    def silent(self, since: float) -> list[KnownInstance]:
        """Those that were not heard of since."""
        return [one for one in self._instances.values() if one.heard_at <= since]

    def is_taken(self, sighting: Sighting) -> bool:
        """Whether another holds the place of this worker."""
        return sighting.worker is not None and _place_of(sighting) in self._places

    def has_successor(self, death: Death) -> bool:
        """Whether somebody came after that death: to the same place, or, where workers
        were not told apart or all of them had gone, to the same host."""
        gone, at = death.sighting, death.at
        places = {_place_of(gone), (gone.host, None)}
        if any(
            (holder := self._places.get(place)) is not None and holder.came_at > at
            for place in places
        ):
            return True
        host = self._hosts.get(gone.host)
        if host is None:
            return False
        return host.came_at > at or (gone.worker is None and host.newest > at)


def have_one_supervisor(one: Sighting, other: Sighting) -> bool:
    """Whether they may be workers of one supervisor: a machine may have several, each
    with a first worker. An older version does not tell."""
    return None in (one.supervisor, other.supervisor) or (
        one.supervisor == other.supervisor
    )


def _place_of(sighting: Sighting) -> _Place:
    return sighting.host, sighting.worker
