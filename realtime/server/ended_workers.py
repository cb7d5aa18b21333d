"""What workers counted in the last hour that have ended: kept by their supervisor, and
told by all who live, so that it is told however many of them die."""

import secrets
from collections import deque

from realtime.fleet.history.hour_sums import combine
from realtime.fleet.history.minutes import LATEST_ENDED, Hour, Past
from realtime.server.messages import Remember


class WorkersPast:
    """Knows what each worker that runs has said last, and the sums of those that have
    ended, or are about to."""

    def __init__(self) -> None:
        self._supervisor = f"supervisor-{secrets.token_hex(8)}"
        self._version = 0
        self._ended: list[Hour] = []
        """One at most: the sums."""
        self._ended_lately: deque[str] = deque(maxlen=LATEST_ENDED)
        self._said: dict[int, Remember] = {}

    def note(self, pid: int, said: Remember) -> bool:
        """A worker wants its hour to be remembered; whether `past` is another now."""
        self._said[pid] = said
        self._version += said.leaves
        return said.leaves

    def end(self, pid: int) -> bool:
        """A worker has ended, whatever ended it; whether `past` is another now."""
        said = self._said.pop(pid, None)
        if said is None:
            return False
        self._ended = [combine([*self._ended, said.hour])]
        self._ended_lately.appendleft(said.instance)
        self._version += 1
        return True

    @property
    def past(self) -> Past | None:
        """None: no worker has ended."""
        leaving = [said for said in self._said.values() if said.leaves]
        hours = [*self._ended, *(said.hour for said in leaving)]
        if not hours:
            return None
        names = [*(said.instance for said in leaving), *self._ended_lately]
        return Past(
            supervisor=self._supervisor,
            version=self._version,
            of=tuple(names[:LATEST_ENDED]),
            hour=combine(hours),
        )
