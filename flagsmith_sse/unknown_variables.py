"""Environment variables that look like the service's and are none: misspelt, most
likely, and without effect."""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final

PREFIXES: Final = ("SSE_", "NATS_")

_OF_KUBERNETES: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_(TCP|UDP|SCTP)\w*)"
)
"""What Kubernetes tells every container of a service called `nats` or `sse`."""


def unknown_variables(
    known: Collection[str], environment: Mapping[str, str] = os.environ
) -> dict[str, str | None]:
    """The names in `environment` that begin as the service's do and are not `known`,
    with the nearest that is, if one is near."""
    suspicious = sorted(
        name
        for name in environment
        if name.startswith(PREFIXES)
        and name not in known
        and not _OF_KUBERNETES.fullmatch(name)
    )
    return {name: _nearest(name, known) for name in suspicious}


def _nearest(name: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), None)
