"""Who may open a stream now, and the pace at which the others are turned away."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from realtime.backoff import jittered
from realtime.lifecycle import Refusal


class Admission:
    """Lets streams in, or holds the request for a while before it is refused.

    A client that was refused may come back at once and for ever (the Python SDK does),
    and a browser's `EventSource` gives up for good after one 503. Both are served by
    waiting: what held the stream up may pass meanwhile.

    `refusal` returns why no stream can be served now (None: it can), `open_streams` how
    many there are; `limit` is how many there may be, `room` how many together with
    those that are held, beyond which a request is refused at once, and `delay` the
    seconds for which one is held, give or take half.
    """

    def __init__(
        self,
        *,
        refusal: Callable[[], Refusal | None],
        open_streams: Callable[[], int],
        limit: int,
        room: int,
        delay: float,
    ) -> None:
        self._refusal = refusal
        self._open_streams = open_streams
        self._limit = limit
        self._room = room
        self._delay = delay
        self._held: set[asyncio.Timeout] = set()

    @property
    def held(self) -> int:
        """How many requests are waiting."""
        return len(self._held)

    def refused(self) -> Refusal | None:
        """Why a stream cannot be served now; None if it can."""
        if refusal := self._refusal():
            return refusal
        if self._open_streams() >= self._limit:
            detail = "This instance has as many subscribers as it can hold."
            return Refusal("full", detail)
        return None

    async def hold(self, gone: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Hold a request that is refused, while `gone()` has not returned; not at all
        where there is no room. Returns whether its client is still there: what refused
        it may have passed.
        """
        if self.held + self._open_streams() >= self._room:
            return True
        try:
            async with asyncio.timeout(jittered(self._delay)) as hold:
                self._held.add(hold)
                try:
                    await gone()
                finally:
                    self._held.discard(hold)
            return False
        except TimeoutError:
            return True

    def review(self) -> None:
        """Look at every held request again, now: what held them up has passed, or
        never will."""
        now = asyncio.get_running_loop().time()
        for hold in self._held:
            if not hold.expired():
                hold.reschedule(now)
