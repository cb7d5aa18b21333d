"""The JetStream stream that holds every environment's latest update."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import nats.js.errors
import structlog
from nats.aio.client import Client

from realtime.exceptions import (
    NatsUnavailable,
    PermissionDenied,
    StreamIncompatible,
)
from realtime.jetstream.api import call_api, unix_seconds
from realtime.jetstream.stream_config import (
    NANOSECONDS,
    REQUIRED,
    VARIABLES,
    Setting,
    StreamSettings,
    differences,
)
from realtime.jetstream.subjects import STREAM

logger = structlog.get_logger("sse")

CHANGE_SECONDS: Final = 5
"""To create or change a stream takes a cluster longer."""

PEER_SECONDS: Final = 3
"""A replica that its leader has not heard of for so long is out of reach: they tell
each other every second that they are there."""

_LAST: Final = 2**63 - 1
"""No sequence is higher."""

_EXISTS_OTHERWISE: Final = 10058
"""JetStream's code for a stream of the same name with another configuration."""

_HINTS: Final = {
    10113: "; set NATS_STREAM_MAX_BYTES to a limit that the account allows",
    10122: "; set NATS_STREAM_MAX_BYTES to what the account allows, or less",
}
"""What to do about an error of JetStream, by its code: the account demands a limit of
bytes; ours is above the account's."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """`max_age`: seconds for which an update is kept; 0: without limit. `now`: the
    server's clock, as Unix seconds, when it answered. `first_sequence`: that of the
    oldest message it holds, or will hold; `last_sequence`: that of the newest it has
    held. `messages`: how many it holds. `created`: when it was made, as the server
    writes it. `changed`: whether it had to be created or brought up to date.
    `differences`: what its operator chose otherwise than this process would have.
    `seen`: whether all this is known, and not only assumed."""

    max_age: float
    now: float
    first_sequence: int
    last_sequence: int
    messages: int
    created: str
    changed: bool
    differences: tuple[Setting, ...] = ()
    seen: bool = True


def unseen_stream(wanted: StreamSettings) -> StreamState:
    """What is assumed of a stream that we may not look at: it is as it is `wanted`, and
    may hold anything."""
    return StreamState(
        max_age=wanted.max_age,
        now=time.time(),
        first_sequence=0,
        last_sequence=_LAST,
        messages=1,
        created="",
        changed=False,
        seen=False,
    )


async def ensure_stream(
    client: Client, wanted: StreamSettings, *, apply: bool
) -> StreamState:
    """Create the stream as it is `wanted`, or restore on the one that exists what the
    service cannot work without; with `apply`, what is `wanted` too.

    Fields that are not ours (a description, a placement, …) stay as they are.

    Raises `StreamIncompatible`, naming the field that differs, and `NatsUnavailable`.
    """
    changed = False
    try:
        info = await call_api(client, f"STREAM.INFO.{STREAM}")
    except nats.js.errors.NotFoundError:
        info = await _create(client, wanted)
        changed = True
    except nats.js.errors.APIError as error:
        raise NatsUnavailable(
            f"NATS does not tell of the stream {STREAM}: {error.description}"
        ) from error
    if cut_off := _cut_off(info):
        raise NatsUnavailable(cut_off)
    expected = wanted.expected() if apply else dict(REQUIRED)
    if different := differences(expected, info["config"]):
        info = await _update(client, {**info["config"], **expected}, different)
        changed = True
    return StreamState(
        max_age=info["config"]["max_age"] / NANOSECONDS,
        now=unix_seconds(info["ts"]),
        first_sequence=info["state"]["first_seq"],
        last_sequence=info["state"]["last_seq"],
        messages=info["state"]["messages"],
        created=info["created"],
        changed=changed,
        differences=differences(wanted.chosen(), info["config"]),
    )


async def _create(client: Client, wanted: StreamSettings) -> dict[str, Any]:
    config = {"name": STREAM, **wanted.expected()}
    try:
        info = await call_api(
            client, f"STREAM.CREATE.{STREAM}", config, seconds=CHANGE_SECONDS
        )
    except PermissionDenied as error:
        raise NatsUnavailable(f"There is no stream {STREAM}: {error}") from error
    except nats.js.errors.APIError as error:
        # A cluster without a leader refuses everything; and another process, which
        # wants it otherwise, may have been quicker.
        passing = (
            isinstance(error, nats.js.errors.ServiceUnavailableError)
            or error.err_code == _EXISTS_OTHERWISE
        )
        refused = NatsUnavailable if passing else StreamIncompatible
        raise refused(
            f"NATS refuses to create the stream {STREAM}: {_explained(error)}"
        ) from error
    logger.info("stream.created", stream=STREAM)
    return info


async def _update(
    client: Client, config: dict[str, Any], different: Sequence[Setting]
) -> dict[str, Any]:
    try:
        info = await call_api(
            client, f"STREAM.UPDATE.{STREAM}", config, seconds=CHANGE_SECONDS
        )
    except nats.js.errors.ServiceUnavailableError as error:
        raise NatsUnavailable(
            f"NATS refuses to update the stream {STREAM}: {_explained(error)}"
        ) from error
    except (nats.js.errors.APIError, PermissionDenied) as error:
        found = ", ".join(
            f"{one.name} {one.actual} instead of {one.expected}" for one in different
        )
        ours = dict.fromkeys(
            VARIABLES[one.name] for one in different if one.name in VARIABLES
        )
        remedy = f", or set {' and '.join(ours)} to what it has" if ours else ""
        raise StreamIncompatible(
            f"The stream {STREAM} exists with {found}, which cannot be changed "
            f"({_explained(error)}): delete it{remedy}"
        ) from error
    logger.info("stream.updated", stream=STREAM, fields=[one.name for one in different])
    return info


def _cut_off(info: dict[str, Any]) -> str | None:
    """Why what this server tells of the stream is not to be believed, because it was
    cut off from the others; None if it was not.

    A leader that was cut off takes itself for the leader for some ten seconds more. A
    server that was cut off from the leader answers all the same, after some seconds and
    from what it has: without a leader, and as if it had just heard of peers that it
    never heard of (nats-server 2.15).
    """
    cluster = info.get("cluster") or {}
    if cluster and not cluster.get("leader"):
        return f"The stream {STREAM} has no leader."
    others = cluster.get("replicas") or []
    heard = [r for r in others if r["active"] < PEER_SECONDS * NANOSECONDS]
    if len(heard) < len(others) / 2:
        return (
            f"The leader of the stream {STREAM} has lost the majority of its replicas."
        )
    return None


def _explained(error: nats.js.errors.APIError | PermissionDenied) -> str:
    if isinstance(error, PermissionDenied):
        return str(error).rstrip(".")
    return f"{error.description}{_HINTS.get(error.err_code or 0, '')}"
