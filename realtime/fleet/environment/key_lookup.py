"""Which environment a shortened key stands for: reports have no others, and links lead
from there to pages about one environment."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from realtime.conf import RealtimeSettings
from realtime.environments import MAX_KEY_LENGTH, is_environment_key
from realtime.fleet.agent import Agent
from realtime.fleet.key_shortening import is_shortened, shortened
from realtime.fleet.reporter import BUSIEST, LATEST
from realtime.fleet.survey import survey
from realtime.fleet.wire_types import Count, InstanceName
from realtime.sse.hub import Hub

KEYS: Final = "flagsmith.fleet.keys"
"""Asks every instance for its `KeysAnswer`; the payload is the shortened key."""


class KeysAnswer(Struct, frozen=True, kw_only=True):
    """The whole keys that an instance knows for a shortened one: of those that it
    reports itself."""

    instance: InstanceName
    alive: Count
    keys: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_KEY_LENGTH)], ...],
        Meta(max_length=BUSIEST + LATEST),
    ]


def keys_answer(
    hub: Hub, instance: str, alive: int, payload: bytes
) -> KeysAnswer | None:
    """What `instance`, whose streams are in `hub`, knows of `payload`; None if that is
    no shortened key."""
    short = payload.decode(errors="replace")
    if not is_shortened(short):
        return None
    known = dict.fromkeys(key for key, _ in hub.busiest(BUSIEST))
    known |= dict.fromkeys(key for key, _ in hub.latest.newest(LATEST))
    keys = tuple(key for key in known if shortened(key) == short)
    return KeysAnswer(instance=instance, alive=alive, keys=keys)


async def find_keys(
    settings: RealtimeSettings, short: str, agent: Agent | None = None
) -> list[str]:
    """The environments that some instance reports as `short`: nearly always one.
    `agent` is this process's own, if it runs one. Raises `NatsUnavailable`."""
    async with survey(settings, agent) as asking:
        answers = await asking.ask_everybody(KEYS, KeysAnswer, short.encode())
    keys = {key for answer in answers for key in answer.keys}
    return sorted(
        key for key in keys if shortened(key) == short and is_environment_key(key)
    )
