"""Environment keys: which are valid, and which are those of probes."""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

MAX_KEY_LENGTH: Final = 100
"""The length of `Environment.api_key` in Flagsmith's database."""

PROBE_PREFIX: Final = "probe-"
"""How the environments of probes begin: Flagsmith makes no key with a hyphen."""

# `ser.XXXX` is a server-side key. Whatever NATS reads as a wildcard, an empty token or
# white space, and whatever begins its own subjects (`$`), matches nothing here.
_KEY: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)


def is_environment_key(text: str) -> bool:
    """Whether `text` may be an environment key, and so part of a NATS subject."""
    return len(text) <= MAX_KEY_LENGTH and _KEY.fullmatch(text) is not None


def probe_environment(*who: object) -> str:
    """The environment of a probe, always the same for the same `who` (a host, a port),
    so that JetStream, which keeps an update for an hour, keeps one of each."""
    digest = hashlib.sha256("\0".join(map(str, who)).encode()).hexdigest()
    return PROBE_PREFIX + digest[:16]


def is_probe_environment(environment: str) -> bool:
    """Whether `environment` is one that only probes use: no customer's."""
    return environment.startswith(PROBE_PREFIX)


def without_probes(busiest: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The environments with their subscribers, but for those in which there is one
    probe alone. More is something else, whatever its name, and not to be hidden."""
    return [
        (environment, count)
        for environment, count in busiest
        if count > 1 or not is_probe_environment(environment)
    ]
