"""Which environment a shortened key stands for: reports have no others, and links lead
from there to pages about one environment."""

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from realtime.conf import RealtimeSettings
from realtime.environments import MAX_KEY_LENGTH, is_environment_key
from realtime.fleet.messages import Count, InstanceName, shortened
from realtime.fleet.reporter import BUSIEST, LATEST
from realtime.fleet.survey import ask_everybody, nats_client

if TYPE_CHECKING:
    from realtime.service import RealtimeService

KEYS: Final = "flagsmith.fleet.keys"
"""Asks every instance for its `KeysAnswer`; the payload is the shortened key."""

LONGEST: Final = 13
"""Characters of a shortened key."""


class KeysAnswer(Struct, frozen=True, kw_only=True):
    """The whole keys that an instance knows for a shortened one: of those that it
    reports itself."""

    instance: InstanceName
    alive: Count
    keys: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_KEY_LENGTH)], ...],
        Meta(max_length=BUSIEST + LATEST),
    ]


def keys_answer(service: "RealtimeService", payload: bytes) -> KeysAnswer | None:
    """What `service` knows of `payload`; None if that is no shortened key."""
    short = payload.decode(errors="replace")
    if not is_shortened(short):
        return None
    known = dict.fromkeys(key for key, _ in service.hub.busiest(BUSIEST))
    known |= dict.fromkeys(key for key, _ in service.hub.latest.newest(LATEST))
    return KeysAnswer(
        instance=service.bridge.consumer_name,
        alive=service.agent.roll.alive(),
        keys=tuple(key for key in known if shortened(key) == short),
    )


async def find_keys(
    settings: RealtimeSettings, short: str, service: "RealtimeService | None" = None
) -> list[str]:
    """The environments that some instance reports as `short`: nearly always one.
    `service` is this process's own, if it runs one. Raises `NatsUnavailable`."""
    async with nats_client(settings, service) as client:
        answers = await ask_everybody(client, service, KEYS, KeysAnswer, short.encode())
    return sorted(
        {
            key
            for answer in answers
            for key in answer.keys
            if shortened(key) == short and is_environment_key(key)
        }
    )


def is_shortened(text: str) -> bool:
    """Whether `text` may stand for a longer key."""
    return len(text) <= LONGEST and "…" in text
