"""The subscribers of one environment, looked at without delaying anybody."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from realtime.sse.subscriber import Subscriber

MOST_VISITED: Final = 20_000
"""Subscribers that are looked at one by one: 2 to 3 ms on the event loop, measured."""


@dataclass(frozen=True, slots=True)
class EnvironmentSubscribers:
    """So many `subscribers`; of those `visited`, which have been connected for longest,
    how many are of each kind of client and how many lag. `oldest` and `newest` are for
    how many seconds the first and the last of all have been subscribed; None: there are
    none."""

    subscribers: int
    visited: int
    clients: dict[str, int]
    lagging: int
    oldest: float | None
    newest: float | None

    @classmethod
    def of(cls, subscribers: dict[Subscriber, None], now: float) -> Self:
        """`subscribers` are in the order of their connections; `now` is by the hub's
        clock."""
        if not subscribers:
            return cls(0, 0, {}, 0, None, None)
        visited = list(islice(subscribers, MOST_VISITED))
        return cls(
            subscribers=len(subscribers),
            visited=len(visited),
            clients=dict(Counter(one.client for one in visited)),
            lagging=sum(one.lagging_since is not None for one in visited),
            oldest=now - visited[0].subscribed_at,
            newest=now - next(reversed(subscribers)).subscribed_at,
        )
