"""What Flagsmith's two tasks do instead of an HTTP request."""

from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS

from realtime.flagsmith.outage import Outage
from realtime.flagsmith.outbox import Outbox
from realtime.publisher import publish_environment_update

logger = structlog.get_logger("realtime")


class Sender:
    """Publishes to NATS, or puts what could not be stored into the outbox.

    There is no limit to how often or how long: a client that kept its stream through
    the whole outage learns of a change from nothing but its update.
    """

    def __init__(self, outbox: Outbox, environments: Any) -> None:
        """`environments` is Flagsmith's model."""
        self._outbox = outbox
        self._environments = environments
        self._outage = Outage()

    def send(self, environment_key: str, updated_at: str) -> None:
        """Tell of an environment, now or later. `updated_at` is ISO 8601, in UTC where
        it does not say.

        Raises `InvalidUpdate` for a key that will never be accepted and `ValueError`
        for such a time; the task processor records both.
        """
        queued = datetime.fromisoformat(updated_at)
        if queued.tzinfo is None:
            queued = queued.replace(tzinfo=UTC)
        was_away = self._outage.lasts
        if self._outage.attempt(lambda: self._publish(environment_key, queued)):
            if was_away:
                self._outbox.hurry()
            return
        seconds = self._outage.retry_seconds()
        self._outbox.put(environment_key, queued, seconds)

    def send_project(self, project_id: int) -> None:
        """Tell of every environment of a project, each in a task of its own: none
        waits for another, nor fails with it."""
        for environment in self._stored().filter(project_id=project_id):
            self._outbox.put(environment.api_key, environment.updated_at, 0)

    def _publish(self, environment_key: str, queued: datetime) -> None:
        """Store the time of the latest change, which the database knows: it may be
        later than `queued`, and then it is told instead.

        Of two tasks for one environment, the one with the earlier time may be the last
        to publish. It finds the later time when it looks again, and publishes that.
        """
        stored = None
        while (newest := self._newest(environment_key, queued)) != stored:
            publish_environment_update(environment_key, newest)
            stored = newest

    def _newest(self, environment_key: str, queued: datetime) -> datetime:
        times = self._stored().filter(api_key=environment_key)
        known: datetime | None = times.values_list("updated_at", flat=True).first()
        return max(queued, known or queued)

    def _stored(self) -> Any:
        """All environments, from the primary: a replica may lag."""
        return self._environments.objects.using(DEFAULT_DB_ALIAS)
