"""What each instance tells of one environment. Whoever asks names its key."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from realtime.fleet.client_kinds import ClientCount, summed
from realtime.fleet.messages import Sighting
from realtime.fleet.wire_types import Clients, Count, Moment, Seconds, Text

ENVIRONMENT: Final = "flagsmith.fleet.environment"
"""Asks every instance for its `EnvironmentAnswer`; the payload is the key."""

MOST_UPDATES: Final = 20
"""In one answer, the newest first."""


class StoredUpdate(Struct, frozen=True, kw_only=True):
    """An update as it is in the stream: its time as it was published, its sequence, and
    when it was stored, by the clock of NATS."""

    updated_at: Text
    sequence: Count
    stored_at: Moment


class SeenUpdate(StoredUpdate, frozen=True, kw_only=True):
    """An update that the instance has read, `read` seconds ago. All `subscribers` had
    been told of it, or of a later one, `written` seconds ago; None: they are still
    being told."""

    read: Seconds
    written: Seconds | None = None
    subscribers: Count = 0


class HeldUpdate(Struct, frozen=True):
    """An update that waits until NATS can store it, for so many seconds."""

    updated_at: Text
    waited: Seconds


class EnvironmentAnswer(Struct, frozen=True, kw_only=True):
    """What one instance knows of the environment.

    Of its `subscribers` it has looked at `visited` one by one, those that have been
    connected for longest: `clients` and `lagging` are of these. `oldest` and `newest`
    are for how long the first and the last of all have been connected. `latest` is what
    it tells whoever subscribes now; `updates` are those of the last hour, of which
    there may have been more if they are `cut`.
    """

    sighting: Sighting
    alive: Count
    not_ready: Text | None = None
    subscribers: Count = 0
    visited: Count = 0
    clients: Clients
    lagging: Count = 0
    oldest: Seconds | None = None
    newest: Seconds | None = None
    latest: StoredUpdate | None = None
    updates: Annotated[tuple[SeenUpdate, ...], Meta(max_length=MOST_UPDATES)] = ()
    cut: bool = False
    held: HeldUpdate | None = None

    @property
    def instance(self) -> str:
        return self.sighting.instance

    @property
    def name(self) -> str:
        """What people call it."""
        return self.sighting.name

    @property
    def kinds(self) -> tuple[ClientCount, ...]:
        """`clients`, the most frequent kind first."""
        return summed([self.clients])

    @property
    def told(self) -> SeenUpdate | None:
        """What this instance did of the latest update, as far as it remembers."""
        newest = self.updates[0] if self.updates else None
        if newest is None or self.latest is None:
            return None
        return newest if newest.sequence == self.latest.sequence else None
