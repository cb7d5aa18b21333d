"""Publish an update straight to NATS, from any Django process with this app: instead of
the HTTP request to this service, and with the same guarantees.

    from realtime.publisher import publish_environment_update

    publish_environment_update(environment.api_key, environment.updated_at)
"""

import asyncio
import concurrent.futures
import json
from datetime import datetime
from typing import Final

from realtime.environments import is_environment_key
from realtime.exceptions import InvalidUpdate, PublishFailed
from realtime.process_publisher import process_publisher
from realtime.updates import Update, parse_update

PUBLISH_SECONDS: Final = 2.0
"""As long as the task processor waits for the HTTP request."""

MOST_SECONDS: Final = 1e9
"""Thirty years, for who wants to wait for ever: no clock goes on without end."""

GRACE_SECONDS: Final = 1.0
"""After the deadline, for a thread that gets no processor."""


def publish_environment_update(
    environment_key: str,
    updated_at: datetime | float | str,
    *,
    timeout: float = PUBLISH_SECONDS,
) -> None:
    """Tell every subscriber of the environment that it was updated; returns once
    JetStream has stored the update.

    `updated_at` is a date and time (UTC if it has no time zone), the same as an ISO
    8601 string, or a number of Unix seconds: it is read as the HTTP endpoint reads it.
    `timeout` is in seconds, and may be infinite. May be called from any thread, but not
    on an event loop, which would stand still meanwhile: see
    `apublish_environment_update`.

    Raises `InvalidUpdate` for a bad key or time, `NatsUnavailable` if NATS could not be
    used, and `PublishFailed` if the update was refused or not confirmed in time; in
    both cases it may be tried again, unless the interpreter ends.
    """
    update = _checked(environment_key, updated_at)
    timeout = _bounded(timeout)
    publishing = process_publisher().publish(update, timeout)
    try:
        publishing.result(timeout + GRACE_SECONDS)
    except concurrent.futures.TimeoutError:
        publishing.cancel()
        raise PublishFailed("The update was not confirmed in time.") from None


async def apublish_environment_update(
    environment_key: str,
    updated_at: datetime | float | str,
    *,
    timeout: float = PUBLISH_SECONDS,  # noqa: ASYNC109  the same arguments as above
) -> None:
    """`publish_environment_update` for a coroutine, on any event loop."""
    update = _checked(environment_key, updated_at)
    publishing = process_publisher().publish(update, _bounded(timeout))
    await asyncio.wrap_future(publishing)


def _bounded(seconds: float) -> float:
    # In this order, not a number is none.
    return min(max(0.0, seconds), MOST_SECONDS)


def _checked(environment_key: str, updated_at: object) -> Update:
    """The update as the HTTP endpoint would read it. Raises `InvalidUpdate`."""
    if not is_environment_key(environment_key):
        raise InvalidUpdate("environment_key", "Not an environment's key.")
    if isinstance(updated_at, datetime):
        updated_at = updated_at.isoformat()
    try:
        body = json.dumps({"updated_at": updated_at})
    except (TypeError, ValueError):
        raise InvalidUpdate(
            "updated_at", "Must be a number of Unix seconds or a date and time."
        ) from None
    return parse_update(environment_key, body.encode())
