"""What this process's metrics have counted, as its history takes it."""

from msgspec import Struct
from prometheus_client import Histogram

from realtime import metrics
from realtime.fleet.quantiles import buckets_of, total


class Counted(Struct, frozen=True):
    """What the counters show: since the process started, or between two looks."""

    opened: int = 0
    closed: int = 0
    deliveries: int = 0
    rejections: int = 0
    publishes: tuple[int, ...] = ()
    latencies: tuple[int, ...] = ()


def counted() -> Counted:
    """What this process's metrics show now."""
    publishes = {status: total(one) for status, one in metrics.publish_requests.items()}
    accepted = publishes.pop("202")
    # Only what JetStream has stored is timed.
    stored = min(accepted, sum(_latencies(metrics.publish_duration_seconds)))
    unauthorized, unavailable = publishes.pop("401"), publishes.pop("503")
    return Counted(
        opened=total(metrics.subscribers_total),
        closed=total(*metrics.disconnects.values()),
        deliveries=total(metrics.http_writes["data"]),
        rejections=total(*metrics.rejections.values()),
        # In the order of `PUBLISHES`.
        publishes=(
            *(stored, accepted - stored, unauthorized, unavailable),
            sum(publishes.values()),
        ),
        latencies=_latencies(metrics.delivery_duration_seconds),
    )


def _latencies(histogram: Histogram) -> tuple[int, ...]:
    """How many fell into each bucket."""
    up_to = [int(count) for _, count in buckets_of(histogram)]
    below = [0, *up_to[:-1]]
    return tuple(here - before for here, before in zip(up_to, below, strict=True))
