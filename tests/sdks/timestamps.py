"""Times of an environment's change, as the task processor publishes them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Timestamp:
    published: str
    """`datetime.isoformat()`."""
    seconds: float
    """The number that must arrive; as JSON it has a decimal point."""

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


USUAL = Timestamp("2023-01-12T18:06:42.028060+00:00", 1673546802.02806)
WHOLE_SECOND = Timestamp("2024-12-26T16:18:08+00:00", 1735229888.0)
TIMESTAMPS = [
    USUAL,
    WHOLE_SECOND,
    Timestamp("2024-12-26T16:18:08.760000", 1735229888.76),
    Timestamp("2024-12-26T16:18:08.760000Z", 1735229888.76),
    Timestamp("2024-12-26T18:18:08.760000+02:00", 1735229888.76),
]
