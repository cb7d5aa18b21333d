"""Since when no update can be stored, as far as this process knows."""

import time


class Outage:
    """An outage begins when the stream was last known to take updates, and not when it
    is noticed: where little is published, nothing else tells of it. All times are
    `time.monotonic`.
    """

    def __init__(self) -> None:
        self._since: float | None = time.monotonic()
        self._worked_at = time.monotonic()
        self._has_session = False
        self.failing = False
        """Whether the last publish was not confirmed."""

    @property
    def since(self) -> float | None:
        """When it began, at the earliest; None: updates can be stored, for all that is
        known."""
        return None if self._has_session and not self.failing else self._since

    def session_began(self) -> None:
        """Updates can be stored again, it seems."""
        self._has_session = True
        self.failing = False

    def session_ended(self) -> None:
        """There is no connection, or none yet."""
        self._has_session = False
        self._begin(time.monotonic())

    def stream_seen(self) -> None:
        """The stream is in order. The next publish tries again: where other instances
        store what comes here, nothing else would tell that this one can, too. If it
        fails, the outage is as old as it was."""
        self.failing = False
        self._worked_at = time.monotonic()

    def caught_up(self) -> None:
        """All that was stored has been read."""
        if not self.failing:
            self._since = None

    def published(self, asked_at: float) -> None:
        """JetStream has answered what was published at `asked_at`."""
        self.failing = False
        self._since = None
        self._worked_at = asked_at

    def publish_failed(self) -> None:
        """JetStream did not confirm an update."""
        self.failing = True
        self._begin(self._worked_at)

    def _begin(self, since: float) -> None:
        if self._since is None:
            self._since = since
