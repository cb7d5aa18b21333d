"""What workers counted in the last hour that have ended: kept by their supervisor, and
known to all that run, so that it is not lost however many of them die."""

import secrets
from collections import deque

from realtime.fleet.history.hour_sums import combine
from realtime.fleet.history.minutes import LATEST_ENDED, Hour, Past
from realtime.server.messages import Remember


class EndedWorkers:
    """Keeps what each worker that runs has counted, and the sums of those that have
    ended, or are about to."""

    def __init__(self) -> None:
        self._supervisor = f"supervisor-{secrets.token_hex(8)}"
        self._version = 0
        self._ended: list[Hour] = []
        """One at most: the sums."""
        self._ended_lately: deque[str] = deque(maxlen=LATEST_ENDED)
        self._latest: dict[int, Remember] = {}

    def note(self, pid: int, counted: Remember) -> bool:
        """A worker wants its hour to be remembered; whether `past` is another now."""
        self._latest[pid] = counted
        self._version += counted.leaves
        return counted.leaves

    def end(self, pid: int) -> bool:
        """A worker has ended, whatever ended it; whether `past` is another now."""
        counted = self._latest.pop(pid, None)
        if counted is None:
            return False
        self._ended = [combine([*self._ended, counted.hour])]
        self._ended_lately.appendleft(counted.instance)
        self._version += 1
        return True

    @property
    def past(self) -> Past | None:
        """None: no worker has ended."""
        leaving = [one for one in self._latest.values() if one.leaves]
        hours = [*self._ended, *(one.hour for one in leaving)]
        if not hours:
            return None
        names = [*(one.instance for one in leaving), *self._ended_lately]
        return Past(
            supervisor=self._supervisor,
            version=self._version,
            of=tuple(names[:LATEST_ENDED]),
            hour=combine(hours),
        )
