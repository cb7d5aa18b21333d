"""What this process's metrics have counted, as its history takes it."""

from realtime import metrics
from realtime.fleet.history.minutes import Minute
from realtime.fleet.quantiles import counts_of, total


def counted() -> Minute:
    """What this process's metrics show now: a minute as long as its life."""
    publishes = {status: total(one) for status, one in metrics.publish_requests.items()}
    accepted = publishes.pop("202")
    # Only what JetStream has stored is timed.
    timed = sum(counts_of(metrics.publish_duration_seconds))
    stored = min(accepted, timed)
    unauthorized, unavailable = publishes.pop("401"), publishes.pop("503")
    other = sum(publishes.values())
    return Minute(
        number=0,
        opened=total(metrics.subscribers_total),
        closed=total(*metrics.disconnects.values()),
        deliveries=total(metrics.http_writes["data"]),
        rejections=total(*metrics.rejections.values()),
        # In the order of `PUBLISHES`.
        publishes=[stored, accepted - stored, unauthorized, unavailable, other],
        latencies=counts_of(metrics.delivery_duration_seconds),
    )
