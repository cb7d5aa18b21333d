"""How JetStream holds the stream: what an operator wants to know of it."""

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

import nats.js.errors
from msgspec import Struct
from msgspec.structs import replace
from nats.aio.client import Client

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.stream import STREAM, call_api
from realtime.jetstream.stream_config import Setting, StreamSettings, compare

MAX_CONSUMERS: Final = 2048


class Replica(Struct, frozen=True):
    """A copy of the stream: whether it is up to date, unreachable, and by how many
    operations it is behind the leader."""

    name: str
    leads: bool
    current: bool
    offline: bool
    lag: int


class Consumer(Struct, frozen=True):
    """A consumer: how many updates it has still to be sent, and how many were sent and
    not acknowledged yet."""

    name: str
    pending: int
    unacknowledged: int


class StreamHealth(Struct, frozen=True):
    """`replicas` is empty where NATS is no cluster, `consumers` None where JetStream
    does not list them: it waits for each node of a cluster that holds one."""

    name: str
    settings: tuple[Setting, ...]
    messages: int
    bytes: int
    last_sequence: int
    replicas: tuple[Replica, ...]
    consumers: tuple[Consumer, ...] | None

    @property
    def differences(self) -> list[Setting]:
        return [setting for setting in self.settings if setting.differs]

    def compared_with(self, wanted: StreamSettings) -> "StreamHealth":
        """The same, where an instance `wanted` it so."""
        chosen = {name: json.dumps(value) for name, value in wanted.chosen().items()}
        compared = tuple(
            replace(setting, expected=chosen.get(setting.name, setting.expected))
            for setting in self.settings
        )
        return replace(self, settings=compared)


async def look_at_stream(
    client: Client, settings: RealtimeSettings, seconds: float
) -> StreamHealth:
    """Ask JetStream, for `seconds` at most. Raises `NatsUnavailable`, also if there is
    no such stream."""
    until = asyncio.get_running_loop().time() + seconds
    info = await stream_info(client, seconds)
    if info is None:
        raise NatsUnavailable(f"There is no stream {STREAM}.")
    consumers: tuple[Consumer, ...] | None = None
    with suppress(NatsUnavailable, nats.js.errors.APIError, TimeoutError):
        async with asyncio.timeout_at(until):
            consumers = await _consumers(client, seconds)
    config, state = info["config"], info["state"]
    return StreamHealth(
        name=STREAM,
        settings=compare(StreamSettings.of(settings).expected(), config),
        messages=state["messages"],
        bytes=state["bytes"],
        last_sequence=state["last_seq"],
        replicas=tuple(_replicas(info.get("cluster") or {})),
        consumers=consumers,
    )


async def stream_info(client: Client, seconds: float) -> dict[str, Any] | None:
    """What JetStream tells of the stream, as its API writes it; None: there is none.
    Raises `NatsUnavailable`."""
    try:
        return await call_api(client, f"STREAM.INFO.{STREAM}", seconds=seconds)
    except nats.js.errors.NotFoundError:
        return None
    except nats.js.errors.APIError as error:
        raise NatsUnavailable(f"JetStream refuses: {error.description}") from error


async def _consumers(client: Client, seconds: float) -> tuple[Consumer, ...]:
    found: list[dict[str, Any]] = []
    while True:
        page = await call_api(
            client, f"CONSUMER.LIST.{STREAM}", {"offset": len(found)}, seconds=seconds
        )
        consumers = page.get("consumers") or []
        found += consumers
        if not consumers or len(found) >= min(page["total"], MAX_CONSUMERS):
            break
    return tuple(
        Consumer(one["name"], one["num_pending"], one["num_ack_pending"])
        for one in found
    )


def _replicas(cluster: dict[str, Any]) -> list[Replica]:
    others = cluster.get("replicas") or []
    if not others:
        return []
    replicas = [
        Replica(
            name=one["name"],
            leads=False,
            current=one.get("current", False),
            offline=one.get("offline", False),
            lag=one.get("lag", 0),
        )
        for one in others
    ]
    if leader := cluster.get("leader"):
        replicas.insert(0, Replica(leader, True, True, False, 0))
    return replicas
