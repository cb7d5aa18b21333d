"""What this process knows of NATS from its own tries."""

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from realtime.backoff import jittered
from realtime.exceptions import NatsUnavailable, PublishFailed

FIRST_RETRY_SECONDS: Final = 1.0
LAST_RETRY_SECONDS: Final = 15.0
"""The longest delay, give or take half: a row of the queue for each try is much, and
half a minute after NATS is back is late."""

logger = structlog.get_logger("realtime")


class Outage:
    """While NATS is away, one try at a time waits for it: a try may take two seconds of
    one of the task processor's few threads, which have Flagsmith's other work to do.
    Thread-safe. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._trying = threading.Lock()

    @property
    def lasts(self) -> bool:
        return self._began is not None

    def attempt(self, publish: Callable[[], None]) -> bool:
        """Whether `publish` succeeded. It is not called while NATS is away and
        somebody else tries."""
        if not self.lasts:
            return self._try(publish)
        if not self._trying.acquire(blocking=False):
            return False
        try:
            return self._try(publish)
        finally:
            self._trying.release()

    def retry_seconds(self) -> float:
        """How long to wait until the next try: as long as the outage has lasted, within
        bounds, and never the same for all."""
        began = self._began
        lasted = 0 if began is None else self._clock() - began
        return jittered(min(max(lasted, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS))

    def _try(self, publish: Callable[[], None]) -> bool:
        try:
            publish()
        except (NatsUnavailable, PublishFailed) as error:
            if self._began is None:
                self._began = self._clock()
                logger.warning("nats.away", reason=str(error))
            return False
        if self._began is not None:
            self._began = None
            logger.info("nats.back")
        return True
