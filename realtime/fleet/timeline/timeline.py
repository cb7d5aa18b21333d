"""What one process knows of what happened, and tells when it is asked."""

import time
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw
from msgspec.structs import replace

from realtime.fleet.messages import Sighting
from realtime.fleet.timeline.event_memory import EventMemory
from realtime.fleet.timeline.events import MOST_BYTES, Dismissed
from realtime.fleet.timeline.failure_detector import FailureDetector
from realtime.fleet.timeline.messages import MOST_EVENTS, EventsAnswer, UserAction
from realtime.fleet.wire_types import decode, encode

MOST_ANSWER_BYTES: Final = 62_000

LEARN_SECONDS: Final = 5.0
"""After it has asked, for which a process takes what others tell."""

MOST_ANSWERS: Final = 20
MOST_LEARNT: Final = 2000
"""So many answers and events are looked at when a process comes: what the others know
of those that have gone is the same, and whoever may publish may answer."""

_ACTION: Final[Any] = UserAction


class Timeline:
    """Events and failures as seen by one process, which is `me`. `alive` counts the
    instances, `expected` is how many hosts there should be (0: not set), and `opened`
    counts the event streams that were opened here."""

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
        self.events = EventMemory()
        self.failure_detector = FailureDetector(self.events, me=me, opened=opened)
        self.refresh: Callable[[], None] = lambda: None
        """Brings up to date what is still going on, before it is told."""
        self.has_asked = False
        """Whether this process has asked the others what happened before it came."""
        self._learn_until = float("inf")
        self._answers = self._learnt = 0

    def answer(self) -> EventsAnswer:
        """What this process has to tell."""
        self.refresh()
        detector = self.failure_detector
        answer = EventsAnswer(
            instance=self._me().instance,
            alive=self._alive(),
            deaths=detector.dead.deaths,
            dismissed=detector.dead.dismissed,
            awaited=detector.awaited,
            expected=self._expected,
        )
        room = MOST_ANSWER_BYTES - len(encode(answer))
        events: list[Raw] = []
        for event in self.events.newest_first()[:MOST_EVENTS]:
            encoded = encode(event)
            room -= len(encoded) + 1
            if room < 0:
                break
            events.append(Raw(encoded))
        return replace(answer, events=tuple(events))

    def on_user_action(self, payload: bytes) -> bool:
        """A user did something; whether this version knows what."""
        action: UserAction | None = decode(payload, _ACTION, MOST_BYTES)
        if action is None:
            return False
        if isinstance(action, Dismissed):
            self.failure_detector.dead.dismiss(action.instance)
        self.events.note(replace(action, seen_by=self._me().instance))
        return True

    def on_answer(self, subject: bytes, reply: bytes, data: bytes, _: bytes) -> None:
        """What another instance tells to this one, which has just come. Outages are
        remembered, and what became of the instances, as seen by whom it was seen."""
        now = time.monotonic()
        if self._answers == 0:
            self._learn_until = now + LEARN_SECONDS
        self._answers += 1
        if self._answers > MOST_ANSWERS or now > self._learn_until:
            return
        answer = decode(data, EventsAnswer)
        me = self._me().instance
        if answer is None or answer.instance == me:
            return
        self.failure_detector.learn(answer)
        events = answer.read(MOST_LEARNT - self._learnt)
        self._learnt += len(events)
        for event in reversed(events):  # the newest last: they stay longest
            if event.seen_by != me:
                self.events.learn(event)
