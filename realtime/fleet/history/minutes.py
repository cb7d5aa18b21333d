"""What processes counted in each minute of the last hour, as it is remembered and
told."""

from collections.abc import Callable
from hashlib import blake2b
from itertools import starmap, zip_longest
from operator import add
from typing import Annotated, Final

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from realtime.fleet.wire_types import Count, InstanceName, Moment, Text

HISTORY: Final = "flagsmith.fleet.history"
"""Asks every instance for its `History`."""

MINUTE_SECONDS: Final = 60.0

MINUTES: Final = 60
"""That are shown: an hour."""

KEPT: Final = MINUTES + 1
"""Minutes that are remembered: the newest is shown a moment after its end only."""

MAX_ENVIRONMENTS: Final = 40
"""That an instance tells of: those that were among its `BUSIEST` in some minute."""

BUSIEST: Final = 20
"""Environments that are noted in each minute. An instance with no more than these is
told of whole."""

PUBLISHES: Final = ("stored", "kept", "unauthorized", "unavailable", "other")
"""The outcomes of requests to publish: 202, 202 with `Flagsmith-SSE-Kept`, 401, 503,
and whatever else."""

LATEST_ENDED: Final = 32
"""Processes that are named as having ended: what they say themselves no longer counts.
Each is named for the moment only in which it may still speak."""

Tally = Annotated[int, Meta(ge=0, le=10**12)]
"""What one process counts in a minute; the sum over all instances fits 64 bits."""

EnvironmentId = Annotated[str, Meta(min_length=16, max_length=16)]


class Minute(Struct, array_like=True):
    """What was counted in the minute with this `number`, since 1970: the `subscribers`
    at its end, `publishes` by the outcomes in `PUBLISHES`, and how many deliveries took
    how long by the buckets of the metric."""

    number: Annotated[int, Meta(ge=0, le=10**11)]
    subscribers: Tally = 0
    opened: Tally = 0
    closed: Tally = 0
    deliveries: Tally = 0
    rejections: Tally = 0
    publishes: Annotated[list[Tally], Meta(max_length=16)] = field(default_factory=list)
    latencies: Annotated[list[Tally], Meta(max_length=32)] = field(default_factory=list)

    def add(self, other: "Minute") -> None:
        """Count what another process counted in the same minute."""
        self.subscribers += other.subscribers
        self._each_with(other, add)

    def since(self, before: "Minute", number: int) -> "Minute":
        """What was counted after `before`, as the minute with this `number`. Whatever
        happens to a counter, nobody has opened fewer than no streams."""
        minute = replace(self, number=number)
        minute._each_with(before, lambda now, then: max(0, now - then))
        return minute

    def _each_with(self, other: "Minute", combine: Callable[[int, int], int]) -> None:
        self.opened = combine(self.opened, other.opened)
        self.closed = combine(self.closed, other.closed)
        self.deliveries = combine(self.deliveries, other.deliveries)
        self.rejections = combine(self.rejections, other.rejections)
        # Another version may tell of more kinds or fewer.
        publishes = zip_longest(self.publishes, other.publishes, fillvalue=0)
        self.publishes = list(starmap(combine, publishes))
        latencies = zip_longest(self.latencies, other.latencies, fillvalue=0)
        self.latencies = list(starmap(combine, latencies))


class EnvironmentHour(Struct, frozen=True, array_like=True):
    """An environment (id, shortened key) and its subscribers at the end of each minute
    of an hour; None: not known."""

    id: EnvironmentId
    key: Text
    subscribers: Annotated[list[Tally | None], Meta(max_length=KEPT + 1)]


class Hour(Struct, frozen=True):
    """The minutes that are known `since` a time (Unix seconds), the oldest first; the
    last one may still be under way. The `environments` with most subscribers; `whole`:
    there were no others."""

    since: Moment
    minutes: Annotated[tuple[Minute, ...], Meta(max_length=KEPT + 1)] = ()
    environments: Annotated[
        tuple[EnvironmentHour, ...], Meta(max_length=MAX_ENVIRONMENTS)
    ] = ()
    whole: bool = True


class Past(Struct, frozen=True, kw_only=True):
    """What the workers of one supervisor counted that have ended, `of` the latest of
    whom it names. Every worker tells it; the one with the highest `version` counts."""

    supervisor: InstanceName
    version: Count
    of: Annotated[tuple[InstanceName, ...], Meta(max_length=LATEST_ENDED)]
    hour: Hour


class History(Struct, frozen=True, kw_only=True):
    """An instance's own whole minutes, how many instances it knows to be alive, and
    what the workers before it and beside it counted, if any has ended."""

    instance: InstanceName
    alive: Count
    hour: Hour
    past: Past | None = None


def environment_id(key: str, secret: str) -> str:
    """What tells the environment with this `key` from all others, the same on every
    instance that shares the `secret`, and from which nobody gets at the key."""
    keyed = blake2b(secret.encode()).digest()
    return blake2b(key.encode(), digest_size=8, key=keyed).hexdigest()
