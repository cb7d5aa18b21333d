"""The ledger: every update that was published and what its tries were answered, every
event that every subscriber saw, every fault; and whether they fit together.

The updates of an environment are numbered from 1 on and published one after the other,
with dates in that order: a later number is a later update, whatever was answered. Each
is owed to every subscriber of its environment, unless nobody of ours has it any more.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from realtime.views import ANSWER_SECONDS
from tests.faults.entries import (
    Account,
    Connection,
    Incident,
    Published,
    Violation,
)
from tests.faults.fates import OWED, PROMPT, Fate, death_at, fate
from tests.support.task_processor import TIMEOUT_SECONDS, Answer

SLACK: Final = 5.0
"""An update reaches everybody within milliseconds; this is for a busy machine."""

UNMEASURED: Final = TIMEOUT_SECONDS - ANSWER_SECONDS
"""Seconds without the processor that make an answer too late for us that was not too
late for the service."""


class Ledger:
    """`lag` is how long this process went without the processor in a time."""

    def __init__(
        self, lag: Callable[[float, float], float] = lambda since, until: 0.0
    ) -> None:
        self._lag = lag
        self.published: dict[str, list[Published]] = {}
        self.accounts: list[Account] = []
        self.incidents: list[Incident] = []

    def violations(self, stored: dict[str, int]) -> list[Violation]:
        """Whatever does not fit together. `stored` is each environment's last update in
        JetStream, now that all is quiet."""
        found: list[Violation] = []
        owed: dict[str, list[Published]] = {}
        for environment, updates in self.published.items():
            owed[environment] = [u for u in updates if self.fate(u) in OWED]
            found += self._unanswered(environment, updates)
            found += self._untold(environment, updates)
        for account in self.accounts:
            updates = self.published.get(account.environment, [])
            due = owed.get(account.environment, [])
            found += self._invented(account, updates)
            found += self._backwards(account, updates)
            found += self._lost(account, due)
            found += self._silent(account)
            found += self._last(account, due, stored.get(account.environment, 0))
        return sorted(found, key=lambda violation: violation.at)

    def fate(self, update: Published) -> Fate:
        return fate(update, self.incidents)

    def gone(self, incident: Incident) -> dict[Fate, int]:
        """How many of an incident's updates that are owed to nobody, by their fate, had
        not been seen by all when the others had, nor a later one."""
        counts: dict[Fate, int] = {"died": 0, "nobody": 0}
        for environment, updates in self.published.items():
            seen = min(
                (
                    _reached_by(account, incident.caught_up)
                    for account in self.accounts
                    if account.environment == environment
                ),
                default=0,
            )
            for update in updates:
                within = incident.begun <= update.ended <= incident.caught_up
                fate = self.fate(update)
                if within and update.number > seen and fate in counts:
                    counts[fate] += 1
        return counts

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

    def answers(self, incident: Incident | None = None) -> list[Answer]:
        """All of them, or those to what was sent during an incident."""
        return [
            answer
            for updates in self.published.values()
            for update in updates
            for answer in update.tries
            if incident is None or incident.covers(answer.sent)
        ]

    def outage(self, incident: Incident) -> float:
        """For how long publishes were not stored at once during an incident, or the
        worst of its steps: from the first to the answer of the last."""
        failed = [answer for answer in self.answers(incident) if not answer.stored]
        worst = 0.0
        for since, until in pairwise([incident.begun, *incident.steps, incident.over]):
            of_step = [answer for answer in failed if since <= answer.sent <= until]
            if of_step:
                first = min(answer.sent for answer in of_step)
                worst = max(worst, max(a.answered for a in of_step) - first)
        return worst

    def slowest(self, incident: Incident | None = None) -> Answer:
        """The answer that took longest."""
        return max(self.answers(incident), key=lambda answer: answer.seconds)

    def lag_of(self, answer: Answer) -> float:
        """For how much of its time this process did not get the processor."""
        return self._lag(answer.sent, answer.answered)

    def behind(self) -> list[Account]:
        """Who has not seen the last update that is owed, nor a later one."""
        due = {
            environment: next(
                (u for u in reversed(updates) if self.fate(u) in OWED), None
            )
            for environment, updates in self.published.items()
        }
        return [
            account
            for account in self.accounts
            if (update := due[account.environment]) is not None
            and account.last_seen < update.number
            and not any(i.excuses(update.stored_at) for i in self.incidents)
        ]

    @staticmethod
    def _invented(account: Account, updates: list[Published]) -> Iterator[Violation]:
        """Seen, but never published, or not yet."""
        for seen, number in account.events:
            if not 1 <= number <= len(updates) or updates[number - 1].sent > seen:
                text = f"{account}: saw {number}, which was never published"
                yield Violation("invented", seen, text)

    def _backwards(
        self, account: Account, updates: list[Published]
    ) -> Iterator[Violation]:
        """Seen after a later one, or twice on one connection. The latest is sent again
        on reconnection, and where a try may have been stored late; nothing else."""
        reached = 0
        for connection in account.connections:
            first = True
            for seen, number in connection.events:
                again = number == reached and not first
                if number < reached or (again and self._settled(updates, number, seen)):
                    text = f"{account}: saw {number} after {reached}"
                    yield Violation("order", seen, text)
                reached, first = max(reached, number), False

    def _settled(self, updates: list[Published], number: int, seen: float) -> bool:
        """Whether nothing up to `number` was on its way any more when it was `seen`."""
        since = seen - SLACK
        for incident in self.incidents:
            if incident.covers(seen):
                since = incident.begun - PROMPT
        return not any(
            update.ended >= since and not update.plain for update in updates[:number]
        )

    def _lost(self, account: Account, due: list[Published]) -> Iterator[Violation]:
        """Owed, but neither it nor a later one was seen in time."""
        events = account.events
        position = reached = 0
        for update in due:
            deadline = self._deadline(account, update)
            if deadline is None:
                continue
            while position < len(events) and events[position][0] <= deadline:
                reached = max(reached, events[position][1])
                position += 1
            if reached < update.number:
                waited = deadline - update.answered
                statuses = [answer.status for answer in update.tries]
                text = (
                    f"{account}: had not seen {update.number} {waited:.1f} s after its "
                    f"answers {statuses}, but {reached}"
                )
                yield Violation("lost", update.answered, text)

    def _deadline(self, account: Account, update: Published) -> float | None:
        """Until when the subscriber must have seen an update; None: never."""
        if any(incident.excuses(update.stored_at) for incident in self.incidents):
            return None
        deadline = update.answered + SLACK
        for incident in self.incidents:
            if incident.begun <= deadline and update.answered <= incident.caught_up:
                excused = update.answered > incident.begun - PROMPT
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
                text = f"{account}: not even keep-alives came"
                yield Violation("silent", connection.closed, text)

    @staticmethod
    def _last(
        account: Account, due: list[Published], stored: int
    ) -> Iterator[Violation]:
        """At the end everybody knows the last update in JetStream, and that is the last
        that is owed, or a later one."""
        last = due[-1] if due else Published(0, ended=0.0)
        if account.last_seen != stored:
            text = f"{account}: saw {account.last_seen} last, stored is {stored}"
            yield Violation("last", last.answered, text)
        if stored < last.number:
            text = f"{account}: owed is {last.number}, stored is {stored}"
            yield Violation("last", last.answered, text)

    def _unanswered(
        self, environment: str, updates: list[Published]
    ) -> Iterator[Violation]:
        """No answer in time, though a process was there."""
        for update in updates:
            for answer in update.tries:
                if answer.status or death_at(answer, self.incidents) is not None:
                    continue
                late = answer.seconds >= TIMEOUT_SECONDS
                if late and self.lag_of(answer) >= UNMEASURED:
                    continue
                text = (
                    f"{environment}: {update.number} had no answer in "
                    f"{answer.seconds:.1f} s by {answer.url}"
                )
                yield Violation("unanswered", answer.sent, text)

    def _untold(
        self, environment: str, updates: list[Published]
    ) -> Iterator[Violation]:
        """A project's change of which nobody was told for this environment."""
        for update in updates:
            if self.fate(update) == "untold" and update.blocked is not None:
                text = (
                    f"{environment}: {update.number} had no turn, because "
                    f"{update.blocked.environment} was answered {update.blocked.status}"
                )
                yield Violation("untold", update.ended, text)


def _reached_by(account: Account, moment: float) -> int:
    """The last update that it had seen then."""
    return max((number for seen, number in account.events if seen <= moment), default=0)
