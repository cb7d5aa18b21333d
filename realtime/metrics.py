"""This app's Prometheus metrics, in the default registry that `/metricsz` exports."""

from prometheus_client import Counter

flagsmith_sse_nats_errors_total = Counter(
    "flagsmith_sse_nats_errors_total",
    "Errors by NATS operation; read: a message that is no update",
    ["operation"],
)
for _operation in (
    "connect",
    "publish",
    "create_jetstream",
    "create_consumer",
    "pull",
    "read",
    "ack",
):
    flagsmith_sse_nats_errors_total.labels(_operation)

flagsmith_sse_bridge_restarts_total = Counter(
    "flagsmith_sse_bridge_restarts_total",
    "Sessions of the NATS bridge that ended in an unexpected exception",
)


def count_nats_error(operation: str) -> None:
    flagsmith_sse_nats_errors_total.labels(operation).inc()
