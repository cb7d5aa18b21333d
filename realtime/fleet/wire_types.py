"""The types of which the fleet's messages are made, and the messages as JSON.

Whoever may publish on NATS may answer, too: every field is bounded, and what arrives is
checked.
"""

from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct, json

from realtime.environments import MAX_KEY_LENGTH

MAX_BYTES: Final = 256 * 1024
"""An answer is some 3 kB; anything over this is not looked at."""

LONGEST_TEXT: Final = 500
Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
"""What one instance counts: the sum over a thousand of them fits 64 bits, as JSON's
encoder wants it."""

Seconds = Annotated[float, Meta(ge=0, le=1e10)]
"""How long something took, or ago it is: up to some three hundred years."""

Moment = Annotated[float, Meta(ge=0, le=1e11)]
"""Unix seconds, up to a year that can be written."""

InstanceName = Annotated[str, Meta(max_length=200, pattern=r"^[A-Za-z0-9_-]+\Z")]
"""One token of a NATS subject; the same as the name of its JetStream consumer."""

EnvironmentKey = Annotated[
    str,
    Meta(max_length=MAX_KEY_LENGTH, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z"),
]
"""As `realtime.environments` has it."""

Clients = Annotated[
    dict[Annotated[str, Meta(max_length=32, pattern=r"^[a-z-]+\Z")], Count],
    Meta(max_length=32),
]
"""Subscribers by kind of client, one of `metrics.CLIENTS` or one that a newer version
tells apart; kinds that have none are left out."""

NOT_READABLE: Final = (ValueError, RecursionError)
"""What msgspec raises for what is no such message: its own errors, not UTF-8, and what
is nested too deeply."""

_T = TypeVar("_T")


def encode(message: Struct) -> bytes:
    return json.encode(message)


def decode(payload: bytes, kind: type[_T], most: int = MAX_BYTES) -> _T | None:
    """The message of `kind` in `payload`; None if it is no such message, or is longer
    than `most` bytes."""
    if len(payload) > most:
        return None
    try:
        return json.decode(payload, type=kind)
    except NOT_READABLE:
        return None
