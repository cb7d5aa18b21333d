"""The ledger: every update that was published and what was answered, every event that
every subscriber saw, every fault; and whether they fit together.

Times are the event loop's, in seconds. The updates of an environment are numbered from
1 on and published one after the other: one that was acknowledged is in JetStream before
the next is sent. One that was answered with an error, or not at all, may be stored all
the same, and at any time after.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from math import inf
from typing import Final

SLACK: Final = 5.0
"""An update reaches everybody within milliseconds; this is for a busy machine."""

PROMPT: Final = 2.0
"""What was acknowledged so long before a fault has no excuse in it."""

LATE_SECONDS: Final = 3.0
"""A publish must be answered within 2 s; the rest is for a busy machine."""


@dataclass(slots=True)
class Published:
    """One update; `status` is 0 while there is no answer, and if there never was.
    `answered` is when it came, or when it was waited for no longer."""

    number: int
    sent: float
    answered: float = inf
    status: int = 0
    body: bytes = b""

    @property
    def acknowledged(self) -> bool:
        return self.status == HTTPStatus.ACCEPTED


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

    @property
    def connected(self) -> bool:
        return bool(self.connections) and self.connections[-1].closed == inf

    @property
    def events(self) -> list[tuple[float, int]]:
        return [e for connection in self.connections for e in connection.events]

    @property
    def last_event(self) -> tuple[float, int]:
        """When it saw the last update, and its number; 0 if there was none."""
        for connection in reversed(self.connections):
            if connection.events:
                return connection.events[-1]
        return -inf, 0

    @property
    def last_seen(self) -> int:
        return self.last_event[1]


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

    @property
    def recovery(self) -> float:
        """Seconds from when the cause was gone until everybody was served."""
        return self.over - self.healed

    def covers(self, moment: float) -> bool:
        return moment != inf and self.begun <= moment <= self.over

    def excuses(self, acknowledged: float) -> bool:
        """Whether an update acknowledged then may have been destroyed before anybody
        could read it."""
        return (
            self.destroyed is not None
            and self.destroyed - 1 <= acknowledged <= self.destroyed
        )


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: which rule was broken, when, and how."""

    rule: str
    at: float
    text: str


class Ledger:
    def __init__(self) -> None:
        self.published: dict[str, list[Published]] = {}
        self.accounts: list[Account] = []
        self.incidents: list[Incident] = []

    def violations(self, stored: dict[str, int]) -> list[Violation]:
        """Whatever does not fit together. `stored` is each environment's last update in
        JetStream, now that all is quiet."""
        found: list[Violation] = []
        for account in self.accounts:
            updates = self.published.get(account.environment, [])
            found += self._invented(account, updates)
            found += self._backwards(account, updates)
            found += self._lost(account, updates)
            found += self._silent(account)
            found += self._last(account, updates, stored.get(account.environment, 0))
        for environment, updates in self.published.items():
            found += self._unanswered(environment, updates)
        return sorted(found, key=lambda violation: violation.at)

    def ended(self, incident: Incident) -> list[Connection]:
        """The streams that ended during an incident."""
        return [
            connection
            for account in self.accounts
            for connection in account.connections
            if incident.covers(connection.closed)
        ]

    def rejected(self, incident: Incident) -> int:
        """How many subscriptions were refused during an incident."""
        return sum(
            incident.covers(moment)
            for account in self.accounts
            for moment in account.rejected
        )

    def outage(self, incident: Incident) -> float:
        """For how long publishes failed during an incident, or the worst of its steps:
        from the first that did to the answer of the last."""
        failed = [
            update
            for updates in self.published.values()
            for update in updates
            if incident.covers(update.sent)
            and update.answered != inf
            and not update.acknowledged
        ]
        worst = 0.0
        for since, until in pairwise([incident.begun, *incident.steps, incident.over]):
            of_step = [update for update in failed if since <= update.sent <= until]
            if of_step:
                first = min(update.sent for update in of_step)
                worst = max(worst, max(u.answered for u in of_step) - first)
        return worst

    def slowest_answer(self) -> float:
        """The longest that a publish waited for its answer."""
        return max(
            update.answered - update.sent
            for updates in self.published.values()
            for update in updates
            if update.status
        )

    def behind(self) -> list[Account]:
        """Who has not seen the last acknowledged update, nor one that may be later."""
        return [account for account in self.accounts if self._is_behind(account)]

    def _is_behind(self, account: Account) -> bool:
        updates = self.published[account.environment]
        at, seen = account.last_event
        last = next((u for u in reversed(updates) if u.acknowledged), None)
        if last is None or seen >= last.number:
            return False
        # What was not acknowledged may have been stored after what was, unless it was
        # seen before that was sent.
        unplaced = seen and not updates[seen - 1].acknowledged and at >= last.sent
        return not unplaced and not any(
            incident.excuses(last.answered) for incident in self.incidents
        )

    @staticmethod
    def _invented(account: Account, updates: list[Published]) -> Iterator[Violation]:
        """Seen, but never published, or not yet."""
        for seen, number in account.events:
            if not 1 <= number <= len(updates) or updates[number - 1].sent > seen:
                text = f"{name(account)}: saw {number}, which was never published"
                yield Violation("invented", seen, text)

    @staticmethod
    def _backwards(account: Account, updates: list[Published]) -> Iterator[Violation]:
        """Seen in another order than they were stored, or twice on one connection. The
        latest is sent again on reconnection, and nothing else ever."""
        reached = 0
        for connection in account.connections:
            numbers: set[int] = set()
            for seen, number in connection.events:
                again = number in numbers
                numbers.add(number)
                known = 1 <= number <= len(updates) and updates[number - 1].acknowledged
                if again or (known and number < reached):
                    text = f"{name(account)}: saw {number} after {reached}"
                    yield Violation("order", seen, text)
                if known:
                    reached = max(reached, number)

    def _lost(self, account: Account, updates: list[Published]) -> Iterator[Violation]:
        """Acknowledged, but neither it nor a later one was seen in time."""
        events = [(seen, n) for seen, n in account.events if 1 <= n <= len(updates)]
        position = reached = 0
        unplaced = -inf  # when one was seen that may have been stored any time
        for update in updates:
            if not update.acknowledged:
                continue
            deadline = self._deadline(account, update.answered)
            if deadline is None:
                continue
            while position < len(events) and events[position][0] <= deadline:
                seen, number = events[position]
                reached = max(reached, number)
                if not updates[number - 1].acknowledged:
                    unplaced = seen
                position += 1
            if reached < update.number and unplaced < update.sent:
                waited = deadline - update.answered
                text = (
                    f"{name(account)}: had not seen {update.number} {waited:.1f} s "
                    f"after it was acknowledged, but {reached}"
                )
                yield Violation("lost", update.answered, text)

    def _deadline(self, account: Account, acknowledged: float) -> float | None:
        """Until when the subscriber must have seen an update; None: never."""
        if any(incident.excuses(acknowledged) for incident in self.incidents):
            return None
        deadline = acknowledged + SLACK
        for incident in self.incidents:
            if incident.begun <= deadline and acknowledged <= incident.caught_up:
                excused = acknowledged > incident.begun - PROMPT
                # Not later: what is published from then on must not make up for it.
                deadline = incident.caught_up if excused else incident.begun
                break
        for connection in account.connections:
            if connection.closed > deadline:
                late = connection.opened > deadline
                return connection.opened + SLACK if late else deadline
        return deadline

    @staticmethod
    def _silent(account: Account) -> Iterator[Violation]:
        for connection in account.connections:
            if connection.silent:
                text = f"{name(account)}: not even keep-alives came"
                yield Violation("silent", connection.closed, text)

    @staticmethod
    def _last(
        account: Account, updates: list[Published], stored: int
    ) -> Iterator[Violation]:
        """At the end everybody knows the last update, and that is the last that was
        acknowledged or one of unknown place."""
        end = updates[-1].answered if updates else 0.0
        if account.last_seen != stored:
            text = f"{name(account)}: saw {account.last_seen} last, stored is {stored}"
            yield Violation("last", end, text)
        last = max((u.number for u in updates if u.acknowledged), default=0)
        if stored < last and (not stored or updates[stored - 1].acknowledged):
            text = f"{name(account)}: acknowledged was {last}, stored is {stored}"
            yield Violation("last", end, text)

    def _unanswered(
        self, environment: str, updates: list[Published]
    ) -> Iterator[Violation]:
        """Answered too late, or not at all though nothing was amiss."""
        for update in updates:
            waited = update.answered - update.sent
            calm = not any(incident.covers(update.sent) for incident in self.incidents)
            if waited > LATE_SECONDS or (calm and not update.status):
                text = f"{environment}: {update.number} had no answer in {waited:.1f} s"
                yield Violation("unanswered", update.sent, text)


def name(account: Account) -> str:
    return f"{account.environment} on {account.instance}"
