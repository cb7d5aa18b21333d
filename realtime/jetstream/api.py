"""JetStream's API, called with plain JSON: nats-py's dataclasses drop the fields that
they do not know, and a stream that is updated must keep those."""

import base64
import json
from datetime import datetime
from typing import Any, Final, NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from realtime.exceptions import NatsUnavailable, PermissionDenied
from realtime.jetstream.client import NotPermitted
from realtime.jetstream.connection import describe
from realtime.jetstream.stream_config import NANOSECONDS
from realtime.jetstream.subjects import STREAM
from realtime.updates import Identity

API_SECONDS: Final = 2
"""A cluster that has just lost the leader of a stream drops a question unanswered: ask
again soon."""

_NO_MESSAGE: Final = 10037
"""JetStream's code for "no message found"; the stream itself may be missing, too."""

_SAME_TIME_NANOSECONDS: Final = 1_000_000
"""The API's time is read to the microsecond, and as a double."""


class StoredMessage(NamedTuple):
    """A message that the stream holds."""

    identity: Identity
    payload: bytes

    def is_identified_by(self, identity: Identity | None) -> bool:
        """Whether it is that one."""
        if identity is None:
            return False
        sequence, nanoseconds = identity
        same_time = abs(self.identity[1] - nanoseconds) < _SAME_TIME_NANOSECONDS
        return self.identity[0] == sequence and same_time


async def call_api(
    client: Client,
    action: str,
    request: dict[str, Any] | None = None,
    *,
    seconds: float = API_SECONDS,
) -> dict[str, Any]:
    """Call JetStream's API, which may take so many `seconds` to answer.

    Raises nats-py's `APIError` for what the server refuses, and `NatsUnavailable` if it
    does not answer: `PermissionDenied` if we may not ask.
    """
    payload = json.dumps(request).encode() if request is not None else b""
    try:
        message = await client.request(f"$JS.API.{action}", payload, seconds)
    except nats.errors.NoRespondersError as error:
        raise NatsUnavailable(
            "JetStream is not available: is it enabled (nats-server --jetstream), and "
            "has the cluster a leader?"
        ) from error
    except NotPermitted as error:
        raise PermissionDenied(f"{error}.") from error
    except (nats.errors.Error, OSError) as error:
        raise NatsUnavailable(
            f"JetStream did not answer {action}: {describe(error)}"
        ) from error
    response: dict[str, Any] = json.loads(message.data)
    if "error" in response:
        raise nats.js.errors.APIError.from_error(response["error"])
    return response


async def find_message(client: Client, **query: object) -> StoredMessage | None:
    """The message that the stream holds at the sequence `seq`, the first one from there
    on (with `next_by_subj`), or the last one on a subject (`last_by_subj`); None: there
    is none. Raises `NatsUnavailable`, which `PermissionDenied` is."""
    try:
        answer = await call_api(client, f"STREAM.MSG.GET.{STREAM}", query)
    except nats.js.errors.APIError as error:
        if error.err_code == _NO_MESSAGE:
            return None
        raise NatsUnavailable(
            f"NATS does not tell what the stream {STREAM} holds: {error.description}"
        ) from error
    message = answer["message"]
    nanoseconds = round(unix_seconds(message["time"]) * NANOSECONDS)
    payload = base64.b64decode(message.get("data", ""))
    return StoredMessage((message["seq"], nanoseconds), payload)


def unix_seconds(timestamp: str) -> float:
    """A time as JetStream's API writes it."""
    # Go writes nanoseconds; Python reads microseconds and drops the rest.
    return datetime.fromisoformat(timestamp).timestamp()
