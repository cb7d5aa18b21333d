"""The JetStream stream that holds every environment's latest update.

Its API is called with plain JSON, because nats-py's dataclasses drop the fields that
they do not know, and an update must leave those as they are.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client

from realtime import metrics
from realtime.conf import RealtimeSettings
from realtime.connection import describe
from realtime.environments import ALL_SUBJECTS
from realtime.exceptions import NatsUnavailable, StreamIncompatible

logger = structlog.get_logger("sse")

STREAM: Final = "environments-stream"
DUPLICATE_WINDOW_SECONDS: Final = 120
API_SECONDS: Final = 2
"""A cluster that has just lost the leader of a stream drops a question unanswered: ask
again soon."""

CHANGE_SECONDS: Final = 5
"""To create or change a stream takes a cluster longer."""

PEER_SECONDS: Final = 3
"""A replica that its leader has not heard of for so long is out of reach: they tell
each other every second that they are there."""

NANOSECONDS: Final = 10**9

# What the server refuses to change on a stream that exists.
_FIXED: Final = ("retention", "storage", "deny_delete", "deny_purge")

_HINTS: Final = {
    10113: ". Set NATS_STREAM_MAX_BYTES to a limit that the account allows.",
    10122: ". Set NATS_STREAM_MAX_BYTES to what the account allows, or less.",
}
"""What to do about an error of JetStream, by its code: the account demands a limit of
bytes; ours is above the account's."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """`max_age`: seconds for which an update is kept; 0: without limit. `now`: the
    server's clock, as Unix seconds, when it answered. `first_sequence`: that of the
    oldest message it holds, or will hold. `created`: when it was made, as the server
    writes it. `changed`: whether it had to be created or brought up to date."""

    max_age: float
    now: float
    first_sequence: int
    created: str
    changed: bool


def expected_config(settings: RealtimeSettings) -> dict[str, Any]:
    """The documented configuration, as JetStream's API writes it."""
    max_age = int(settings.stream_max_age * NANOSECONDS)
    return {
        "name": STREAM,
        "subjects": [ALL_SUBJECTS],
        "retention": "limits",
        "discard": "old",
        "max_msgs_per_subject": 1,
        "max_age": max_age,
        "max_bytes": settings.stream_max_bytes or -1,
        # JetStream refuses a window longer than the age.
        "duplicate_window": min(DUPLICATE_WINDOW_SECONDS * NANOSECONDS, max_age),
        "storage": settings.stream_storage,
        "num_replicas": settings.stream_replicas,
        "deny_delete": False,
        "deny_purge": False,
        "allow_rollup_hdrs": False,
    }


async def ensure_stream(client: Client, settings: RealtimeSettings) -> StreamState:
    """Create the stream, or bring the one that exists up to date.

    Fields that are not ours (a description, a placement, …) stay as they are.

    Raises `StreamIncompatible`, naming the field that differs, and `NatsUnavailable`.
    """
    expected = expected_config(settings)
    changed = False
    try:
        info = await _call_counted(client, f"STREAM.INFO.{STREAM}")
    except nats.js.errors.NotFoundError:
        info = await _change(client, "CREATE", expected)
        changed = True
        logger.info("stream.created", stream=STREAM)
    except nats.js.errors.APIError as error:
        metrics.nats_errors["create_jetstream"].inc()
        raise NatsUnavailable(
            f"NATS does not tell of the stream {STREAM}: {error.description}"
        ) from error
    if not _has_majority(info):
        metrics.nats_errors["create_jetstream"].inc()
        raise NatsUnavailable(
            f"The leader of the stream {STREAM} has lost the majority of its replicas."
        )
    current = info["config"]
    different = [name for name, value in expected.items() if current.get(name) != value]
    if fixed := [name for name in different if name in _FIXED]:
        metrics.nats_errors["create_jetstream"].inc()
        raise StreamIncompatible(
            f"The stream {STREAM} exists with "
            + ", ".join(
                f"{name} {json.dumps(current.get(name))} instead of "
                f"{json.dumps(expected[name])}"
                for name in fixed
            )
            + ", which cannot be changed: delete it, or set NATS_STREAM_STORAGE to "
            "what it has"
        )
    if different:
        info = await _change(client, "UPDATE", {**current, **expected})
        changed = True
        logger.info("stream.updated", stream=STREAM, fields=different)
    return StreamState(
        max_age=info["config"]["max_age"] / NANOSECONDS,
        now=_unix(info["ts"]),
        first_sequence=info["state"]["first_seq"],
        created=info["created"],
        changed=changed,
    )


async def holds_message(client: Client, sequence: int, nanoseconds: int) -> bool:
    """Whether the stream still holds the message `sequence` that was stored at that
    time (nanoseconds since 1970). Raises `NatsUnavailable`."""
    try:
        response = await _call_counted(
            client, f"STREAM.MSG.GET.{STREAM}", {"seq": sequence}
        )
    except nats.js.errors.APIError:
        return False
    # The answer's time is read to the microsecond.
    published = nanoseconds / NANOSECONDS
    return abs(_unix(response["message"]["time"]) - published) < 0.001


def _has_majority(info: dict[str, Any]) -> bool:
    """Whether the leader that answered still leads: one that was cut off from the other
    replicas takes itself for the leader for some ten seconds more."""
    others = info.get("cluster", {}).get("replicas") or []
    heard = [r for r in others if r["active"] < PEER_SECONDS * NANOSECONDS]
    return len(heard) >= len(others) / 2


async def _change(client: Client, verb: str, config: dict[str, Any]) -> dict[str, Any]:
    try:
        return await _call_counted(
            client, f"STREAM.{verb}.{STREAM}", config, seconds=CHANGE_SECONDS
        )
    except nats.js.errors.APIError as error:
        metrics.nats_errors["create_jetstream"].inc()
        # A cluster without a leader refuses everything.
        passing = isinstance(error, nats.js.errors.ServiceUnavailableError)
        refused = NatsUnavailable if passing else StreamIncompatible
        hint = _HINTS.get(error.err_code or 0, "")
        raise refused(
            f"NATS refuses to {verb.lower()} the stream {STREAM}: "
            f"{error.description}{hint}"
        ) from error


async def _call_counted(
    client: Client,
    action: str,
    request: dict[str, Any] | None = None,
    *,
    seconds: float = API_SECONDS,
) -> dict[str, Any]:
    """`call_api` for the bridge: an answer that does not come is an error of the
    service."""
    try:
        return await call_api(client, action, request, seconds=seconds)
    except NatsUnavailable:
        metrics.nats_errors["create_jetstream"].inc()
        raise


async def call_api(
    client: Client,
    action: str,
    request: dict[str, Any] | None = None,
    *,
    seconds: float,
) -> dict[str, Any]:
    """Call JetStream's API, which may take so many `seconds` to answer.

    Raises nats-py's `APIError` for what the server refuses, and `NatsUnavailable` if it
    does not answer.
    """
    payload = json.dumps(request).encode() if request is not None else b""
    try:
        message = await client.request(f"$JS.API.{action}", payload, seconds)
    except nats.errors.NoRespondersError as error:
        raise NatsUnavailable(
            "JetStream is not available: is it enabled (nats-server --jetstream), and "
            "has the cluster a leader?"
        ) from error
    except (nats.errors.Error, OSError) as error:
        raise NatsUnavailable(
            f"JetStream did not answer {action}: {describe(error)}"
        ) from error
    response: dict[str, Any] = json.loads(message.data)
    if "error" in response:
        raise nats.js.errors.APIError.from_error(response["error"])
    return response


def _unix(timestamp: str) -> float:
    # Go writes nanoseconds; Python reads microseconds and drops the rest.
    return datetime.fromisoformat(timestamp).timestamp()
