"""What is entered into the ledger. Times are the event loop's, in seconds."""

from dataclasses import dataclass, field
from math import inf

from tests.support.task_processor import Answer


@dataclass(slots=True)
class Published:
    """One update of one environment, and what its `tries` were answered. `ended` is
    when the task that told of it ended, and `blocked` the answer for another
    environment of its project at which its last try did; then this one had no turn.
    """

    number: int
    tries: list[Answer] = field(default_factory=list)
    ended: float = inf
    blocked: Answer | None = None

    @property
    def sent(self) -> float:
        return self.tries[0].sent if self.tries else inf

    @property
    def accepted(self) -> bool:
        """Whether the last try was."""
        return bool(self.tries) and self.tries[-1].accepted

    @property
    def stored_at(self) -> float | None:
        """When it was first said to be stored; None: never."""
        return next((t.answered for t in self.tries if t.stored), None)

    @property
    def answered(self) -> float:
        """From when on it is owed to the subscribers."""
        stored_at = self.stored_at
        return self.ended if stored_at is None else stored_at

    @property
    def plain(self) -> bool:
        """Stored at the first try: nothing else is on its way."""
        return len(self.tries) == 1 and self.tries[0].stored


@dataclass(slots=True)
class Connection:
    """One stream, from the head of its response to its end. `events` are times and
    numbers of updates; `clean` is whether it ended as HTTP says, `silent` whether it
    was left because not even keep-alives came."""

    opened: float
    events: list[tuple[float, int]] = field(default_factory=list)
    closed: float = inf
    clean: bool = False
    silent: bool = False


@dataclass(slots=True)
class Account:
    """What one subscriber of `environment` saw on the service `instance`; `rejected`
    are the times at which it was answered with an error."""

    instance: str
    environment: str
    connections: list[Connection] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.environment} on {self.instance}"

    @property
    def connected(self) -> bool:
        return bool(self.connections) and self.connections[-1].closed == inf

    @property
    def events(self) -> list[tuple[float, int]]:
        return [e for connection in self.connections for e in connection.events]

    @property
    def last_seen(self) -> int:
        """The number of the update that it saw last; 0 if there was none."""
        for connection in reversed(self.connections):
            if connection.events:
                return connection.events[-1][1]
        return 0


@dataclass(slots=True)
class Death:
    """A process of the service at `url` was not there, or not all the time, from
    `since` until `until`; with `memory` it took along what it kept in memory only."""

    url: str
    since: float
    until: float = inf
    memory: bool = False


@dataclass(slots=True)
class Incident:
    """One fault, from when it was `begun` until it was `over`: everybody was served
    again. `healed` is when its cause was taken away, `caught_up` when all were ready
    and connected and had been given the time to see what was published meanwhile, while
    nothing more was. `destroyed` is when it destroyed what JetStream stored, if it
    did. `steps` are the times at which its parts began, if it is more than one fault.
    """

    fault: str
    begun: float
    healed: float = inf
    caught_up: float = inf
    over: float = inf
    destroyed: float | None = None
    steps: list[float] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)

    @property
    def recovery(self) -> float:
        """Seconds from when the cause was gone until everybody was served."""
        return self.over - self.healed

    def covers(self, moment: float) -> bool:
        return moment != inf and self.begun <= moment <= self.over

    def excuses(self, stored: float | None) -> bool:
        """Whether an update that was said to be stored then may have been destroyed
        before anybody could read it."""
        return (
            self.destroyed is not None
            and stored is not None
            and self.destroyed - 1 <= stored <= self.destroyed
        )


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: which rule was broken, when, and how."""

    rule: str
    at: float
    text: str
