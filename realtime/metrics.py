"""This app's Prometheus metrics, in the default registry.

`realtime.monitoring.exposition` renders them. What has labels is bound to its values
here, once: every series exists from the start, and counting costs no look-up. Nothing
is labelled with an environment: there may be thousands.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import (
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

GAUGE_MODES: Final[dict[str, str]] = {"python_info": "livemax"}
"""How a gauge's values of several workers become one: `livesum`, `livemax` or
`livemin`, all of those that live."""

OPEN_SUBSCRIBERS: Final = "flagsmith_sse_open_subscribers"
"""What the gauge of subscribers is called until it is rendered: under its documented
name, `flagsmith_sse_subscribers`, `prometheus_client` takes it for the same metric as
the counter `flagsmith_sse_subscribers_total`."""

# A gauge beside each counter, with the time of its creation, that nobody asked for.
disable_created_metrics()  # type: ignore[no-untyped-call]


def _gauge(
    name: str,
    documentation: str,
    mode: str = "livesum",
    labels: Iterable[str] = (),
) -> Gauge:
    """`mode` is how the values of several workers become one (`GAUGE_MODES`)."""
    GAUGE_MODES[name] = mode
    return Gauge(name, documentation, labels)


def _counters(
    name: str, documentation: str, label: str, values: str
) -> dict[str, Counter]:
    """A counter for each of `values`, which are words."""
    counter = Counter(name, documentation, [label])
    return {value: counter.labels(value) for value in values.split()}


# Subscribers

subscribers = _gauge(OPEN_SUBSCRIBERS, "Active subscribers")
subscribers_total = Counter("flagsmith_sse_subscribers_total", "Subscribers so far")
subscribers_limit = _gauge(
    "flagsmith_sse_subscribers_limit", "Subscribers that there may be"
)
environments = _gauge(
    "flagsmith_sse_environments", "Environments with at least one subscriber"
)
_CLIENTS: Final = (
    "browser android ios flutter python go ruby flagsmith-sdk curl probe other none"
)
CLIENTS: Final = tuple(_CLIENTS.split())
"""The kinds of clients that `realtime.sse.client_kind` tells apart."""

_by_client = _gauge(
    "flagsmith_sse_subscribers_by_client",
    "Active subscribers, by the kind of client that their User-Agent tells",
    labels=["client"],
)
subscribers_by_client = {kind: _by_client.labels(kind) for kind in CLIENTS}
lagging_subscribers = _gauge(
    "flagsmith_sse_lagging_subscribers", "Subscribers whose connection is backed up"
)
rejections = _counters(
    "flagsmith_sse_rejections_total",
    "Subscriptions answered with 503, by why",
    "reason",
    "nats full draining failed",
)
misdirected_streams = _counters(
    "flagsmith_sse_misdirected_streams_total",
    "Streams asked for where there is none; key: no environment can have it, path: it "
    "only ends like a stream's",
    "reason",
    "key path",
)
disconnects = _counters(
    "flagsmith_sse_disconnects_total",
    "Streams that ended; client: it closed the connection, error: the connection "
    "broke, stalled: the client did not read, aged: the stream had lasted long enough, "
    "drained: the instance shuts down",
    "reason",
    "client error stalled aged drained",
)

# What is written to clients

MESSAGES: Final = "keepalive data healthcheck"
http_writes = _counters(
    "flagsmith_sse_http_writes_total", "Messages written", "message", MESSAGES
)
http_errors = _counters(
    "flagsmith_sse_http_errors_total",
    "Connections that broke, by the message written last",
    "message",
    MESSAGES,
)
skipped_total = Counter(
    "flagsmith_sse_skipped_total",
    "Updates among the data written that a newer one replaced, because the "
    "subscriber's connection was backed up",
)

# Latency. From a millisecond on an idle machine to the seconds after which something
# is very wrong.

# fmt: off
LATENCY_BOUNDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)
# fmt: on
publish_duration_seconds = Histogram(
    "flagsmith_sse_publish_duration_seconds",
    "From a publisher's request to JetStream's confirmation",
    buckets=LATENCY_BOUNDS,
)
delivery_duration_seconds = Histogram(
    "flagsmith_sse_delivery_duration_seconds",
    "From publishing an update, on whatever instance, to its being written to the last "
    "subscriber here",
    buckets=LATENCY_BOUNDS,
)
canary_duration_seconds = Histogram(
    "flagsmith_sse_canary_duration_seconds",
    "From the canary's sending an update, over HTTP, to its arrival on the canary's "
    "stream",
    buckets=LATENCY_BOUNDS,
)
canary_failures_total = Counter(
    "flagsmith_sse_canary_failures_total",
    "Times that the canary's update did not arrive, or NATS was away when it was due",
)
event_loop_lag_seconds = _gauge(
    "flagsmith_sse_event_loop_lag_seconds",
    "The longest that the event loop was late in the last 10 to 20 s; of several "
    "workers the worst",
    mode="livemax",
)
event_loop_seen_timestamp_seconds = _gauge(
    "flagsmith_sse_event_loop_seen_timestamp_seconds",
    "When the event loop last told that it runs, in Unix seconds; of several workers "
    "the one that has been silent for longest",
    mode="livemin",
)

# Publishing and NATS

publish_requests = _counters(
    "flagsmith_sse_publish_requests_total",
    "Requests to publish, by the status of their answer",
    "status",
    "200 202 400 401 404 405 408 413 415 503",
)
updates_total = Counter("flagsmith_sse_updates_total", "Updates read from JetStream")
nats_errors = _counters(
    "flagsmith_sse_nats_errors_total",
    "Errors by NATS operation; read: a message that is no update",
    "operation",
    "connect publish create_jetstream create_consumer pull read ack",
)
outbox_updates = _gauge(
    "flagsmith_sse_outbox_updates", "Updates that wait until NATS can store them"
)
outbox_oldest_seconds = _gauge(
    "flagsmith_sse_outbox_oldest_seconds",
    "How long the oldest update that waits for NATS has waited; of several workers the "
    "longest",
    mode="livemax",
)
outbox_memory_only = _gauge(
    "flagsmith_sse_outbox_memory_only",
    "Workers that cannot write to SSE_OUTBOX_FOLDER",
)
outbox_settled = _counters(
    "flagsmith_sse_outbox_settled_total",
    "Updates that waited for NATS and do so no longer; stored: late, superseded: a "
    "later one was stored, relayed: another instance took it, overflow: too many "
    "waited, left: the process stopped",
    "outcome",
    "stored superseded relayed overflow left",
)
nats_connected = _gauge(
    "flagsmith_sse_nats_connected",
    "Workers that are connected to NATS and read from it",
)
nats_reconnects_total = Counter(
    "flagsmith_sse_nats_reconnects_total", "Working connections to NATS after the first"
)
consumer_lag = _gauge(
    "flagsmith_sse_consumer_lag", "Updates stored in JetStream and not read yet"
)
bridge_restarts_total = Counter(
    "flagsmith_sse_bridge_restarts_total",
    "Sessions of the NATS bridge that ended in an unexpected exception",
)

bad_requests = _counters(
    "flagsmith_sse_bad_requests_total",
    "Requests that no endpoint took, by the status of their answer",
    "status",
    "400 404 408 413 431",
)

# The process

log_lines_dropped = _counters(
    "flagsmith_sse_log_lines_dropped_total",
    "Log lines that were not written; full: whoever reads them was too slow, repeated: "
    "the same was logged within the second",
    "reason",
    "full repeated",
)
connections = _gauge(
    "flagsmith_sse_connections", "Open connections, streams included, as of a second"
)
idle_connections_closed_total = Counter(
    "flagsmith_sse_idle_connections_closed_total",
    "Idle connections that were closed because files ran short",
)
ready = _gauge("flagsmith_sse_ready", "Workers that are ready")
workers = _gauge("flagsmith_sse_workers", "Workers that run")
workers_configured = _gauge(
    "flagsmith_sse_workers_configured", "Workers that there should be"
)
worker_restarts_total = Counter(
    "flagsmith_sse_worker_restarts_total", "Workers that were started for one that died"
)
build_info = _gauge(
    "flagsmith_sse_build_info",
    "1 where the service runs",
    mode="livemax",
    labels=["version"],
)
