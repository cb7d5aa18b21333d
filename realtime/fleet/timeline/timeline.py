"""What one process knows of what happened, and tells when it is asked."""

import time
from collections.abc import Callable
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from realtime.fleet.messages import Sighting, decode, encode
from realtime.fleet.timeline.event_memory import Happenings
from realtime.fleet.timeline.events import Dismissed
from realtime.fleet.timeline.failure_detector import Deaths
from realtime.fleet.timeline.messages import MOST_EVENTS, Account, decode_told

FRESH_SECONDS: Final = 0.25
"""For how long an account is given again, however often it is asked for."""

MOST_BYTES: Final = 62_000
"""Of an account."""

LEARN_SECONDS: Final = 5.0
"""After it has asked, for which a process takes what others tell."""

MOST_ACCOUNTS: Final = 20
MOST_LEARNT: Final = 2000
"""So many accounts and events are looked at when a process comes: what the others know
of those that have gone is the same, and whoever may publish may answer."""


class Chronicle:
    """Memory and deaths of one process, which is `me`. `alive` counts the instances,
    `expected` is how many hosts there should be (0: not set), and `opened` counts the
    event streams that were opened here."""

    def __init__(
        self,
        *,
        me: Callable[[], Sighting],
        alive: Callable[[], int],
        expected: int,
        opened: Callable[[], int],
    ) -> None:
        self._me = me
        self._alive = alive
        self._expected = expected
        self.happenings = Happenings()
        self.deaths = Deaths(self.happenings, me=me, opened=opened)
        self.refresh: Callable[[], None] = lambda: None
        """Brings up to date what is still going on, before it is told."""
        self.has_asked = False
        """Whether this process has asked the others what happened before it came."""
        self._account: tuple[float, Account | None] = float("-inf"), None
        self._learn_until = float("inf")
        self._accounts = self._learnt = 0

    def account(self) -> Account:
        """What this process has to tell."""
        made_at, account = self._account
        if account is None or time.monotonic() - made_at > FRESH_SECONDS:
            account = self._make()
            self._account = time.monotonic(), account
        return account

    def on_question(self, _payload: bytes) -> Account:
        return self.account()

    def on_told(self, payload: bytes) -> bool:
        """A user did something; whether this version knows what."""
        told = decode_told(payload)
        if isinstance(told, Dismissed):
            self.deaths.dismiss(told)
        elif told is not None:
            self.happenings.note(replace(told, seen_by=self._me().instance))
        self._account = float("-inf"), None
        return told is not None

    def on_account(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        """What another instance tells to this one, which has just come. Outages are
        remembered, and what became of the instances, as seen by whom it was seen."""
        now = time.monotonic()
        if self._accounts == 0:
            self._learn_until = now + LEARN_SECONDS
        self._accounts += 1
        if self._accounts > MOST_ACCOUNTS or now > self._learn_until:
            return
        account = decode(data, Account)
        me = self._me().instance
        if account is None or account.instance == me:
            return
        self.deaths.learn(account)
        events = account.read(MOST_LEARNT - self._learnt)
        self._learnt += len(events)
        for event in reversed(events):  # the newest last: they stay longest
            if event.seen_by != me:
                self.happenings.learn(event)

    def _make(self) -> Account:
        self.refresh()
        account = Account(
            instance=self._me().instance,
            alive=self._alive(),
            deaths=self.deaths.dead,
            dismissed=self.deaths.dismissed,
            awaited=self.deaths.awaited,
            expected=self._expected,
        )
        room = MOST_BYTES - len(encode(account))
        events: list[Raw] = []
        for event in self.happenings.newest_first()[:MOST_EVENTS]:
            encoded = encode(event)
            room -= len(encoded) + 1
            if room < 0:
                break
            events.append(Raw(encoded))
        return replace(account, events=tuple(events))
