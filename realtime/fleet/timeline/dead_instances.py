"""The instances that are not here any more, until they, or their successors, are
back."""

from collections.abc import Callable

from msgspec.structs import replace

from realtime.fleet.bounded_dict import BoundedDict
from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.events import Died, Gone
from realtime.fleet.timeline.messages import MOST_DEATHS, Death


class DeadInstances:
    """Completes in `events` what was noted of them."""

    def __init__(self, events: EventMemory) -> None:
        self._events = events
        self._dead: dict[str, tuple[Death, Died | None]] = {}
        self._gone: BoundedDict[str, Gone] = BoundedDict(MOST_DEATHS)
        self._dismissed: BoundedDict[str, None] = BoundedDict(MOST_DEATHS)

    @property
    def deaths(self) -> tuple[Death, ...]:
        """Of those that are expected back."""
        return tuple(death for death, _ in self._dead.values())

    @property
    def dismissed(self) -> tuple[str, ...]:
        """Those that are not expected back."""
        return tuple(self._dismissed)

    def add(self, death: Death, event: Died | None) -> None:
        """One has died; `event` is what this process has noted of it, if it saw it."""
        instance = death.sighting.instance
        if instance not in self._dead and len(self._dead) < MOST_DEATHS:
            self._dead[instance] = death, event

    def add_gone(self, event: Gone) -> None:
        """One has not come back after NATS was away."""
        self._gone[event.instance] = event

    def dismiss(self, instance: str) -> None:
        """Somebody does not expect it back."""
        self._dead.pop(instance, None)
        self._dismissed[instance] = None

    def heard(self, instance: str) -> None:
        """It is there."""
        self._dismissed.pop(instance, None)
        self.back(instance)

    def back(self, instance: str) -> None:
        """It, or its successor, is there."""
        _, died = self._dead.pop(instance, (None, None))
        for event in (died, self._gone.pop(instance, None)):
            if event is not None:
                self._events.note(replace(event, until=self._events.clock()))

    def back_if(self, has_successor: Callable[[Death], bool]) -> bool:
        """Whether somebody has come for any of them."""
        back = [
            instance
            for instance, (death, _) in self._dead.items()
            if has_successor(death)
        ]
        for instance in back:
            self.back(instance)
        return bool(back)
