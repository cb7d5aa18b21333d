"""Who has got which update, among the subscribers of one process."""

from array import array
from dataclasses import dataclass, field

from realtime.loadtest.messages import UpdateResult

KEPT_UPDATES = 128
"""How many updates back a repetition is recognised."""


@dataclass(slots=True, eq=False)
class TalliedUpdate:
    """An update that was published, or has arrived, or both.

    `got` has a 1 for each subscriber that got it; `times` says when, in Unix seconds.
    The epoll loop fills both. `expected`, in the shape of `got`, is None until the
    update was announced; `due` is when those that have not got it miss it.
    """

    value: float
    got: bytearray
    times: list[float] = field(default_factory=list)
    duplicates: int = 0
    expected: int | None = None
    due: float = 0
    settled: bool = False

    @property
    def complete(self) -> bool:
        """Whether everybody who was connected has got it."""
        return self.expected is not None and (self.expected & ~_bits(self.got)) == 0


class DeliveryTally:
    """The latest updates. Subscribers are numbers from 0 up to `slots`."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._updates: dict[float, TalliedUpdate] = {}
        self._received = 0  # of those that are settled
        self._duplicates = 0  # of those that are forgotten

    def update(self, value: float) -> TalliedUpdate:
        """The update `value`, made if need be."""
        found = self._updates.get(value)
        if found is None:
            found = self._updates[value] = TalliedUpdate(value, bytearray(self._slots))
            if len(self._updates) > KEPT_UPDATES:
                self._forget_one()
        return found

    def announce(self, value: float, due: float, connected: bytearray) -> None:
        """`value` was just published; `connected` has a 1 for each open stream."""
        update = self.update(value)
        update.due = due
        # Whoever has gone since it got it was connected when it was published.
        update.expected = _bits(connected) | _bits(update.got)

    def settle(self, now: float) -> list[UpdateResult]:
        """What has become of the updates that everybody has got, or that were due
        before `now`; each is returned once."""
        return [
            self._settle(update)
            for update in self._updates.values()
            if update.expected is not None
            and not update.settled
            and (update.due <= now or update.complete)
        ]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is due any more."""
        return all(u.settled or u.expected is None for u in self._updates.values())

    @property
    def received(self) -> int:
        """First deliveries of updates that were announced."""
        return self._received + sum(
            len(update.times)
            for update in self._updates.values()
            if update.expected is not None and not update.settled
        )

    @property
    def duplicates(self) -> int:
        """Further deliveries of the same to the same, of updates that were announced:
        others may publish for the same environment, or have before."""
        return self._duplicates + sum(
            update.duplicates
            for update in self._updates.values()
            if update.expected is not None
        )

    def _settle(self, update: TalliedUpdate) -> UpdateResult:
        expected = update.expected or 0
        update.settled = True
        without = expected & ~_bits(update.got)
        later = 0
        for other in self._updates.values():
            if other.value > update.value:
                later |= _bits(other.got)
        # What comes from now on is late, and is not counted.
        times, update.times = update.times, []
        self._received += len(times)
        return UpdateResult(
            value=update.value,
            expected=expected.bit_count(),
            received=len(times),
            superseded=(without & later).bit_count(),
            missing=(without & ~later).bit_count(),
            latencies=array("d", [time - update.value for time in times]),
        )

    def _forget_one(self) -> None:
        for value, update in self._updates.items():
            if update.settled or update.expected is None:
                if update.settled:
                    self._duplicates += update.duplicates
                del self._updates[value]
                return


def _bits(flags: bytearray) -> int:
    """Flags (a byte of 0 or 1 each) as a number, to combine all of them at once."""
    return int.from_bytes(flags, "little")
