"""What Grafana's dashboard shows.

What is summed over the instances tells how the service does; what is shown for each
instance tells which one differs.
"""

from typing import Final

from docs.dashboard.panels import (
    BYTES,
    COUNT,
    OURS,
    PER_SECOND,
    SECONDS,
    SHARE,
    Panel,
    by,
    graph,
    nats,
    number,
    quantile,
    quantiles,
    rate,
    stream,
)

ROWS: Final[dict[str, list[Panel]]] = {
    "Overview": [
        number(
            "Alerts firing",
            "Of docker/prometheus/alerts.yml; docs/operations.md has their runbooks.",
            {
                "": 'count(ALERTS{alertname=~"FlagsmithSse.*", alertstate="firing"})'
                " or vector(0)"
            },
            COUNT,
            red_from=1,
        ),
        number(
            "Workers ready",
            "How many of the worker processes that run would take a stream now.",
            {
                "ready": f"sum(flagsmith_sse_ready{OURS})",
                "running": f"sum(flagsmith_sse_workers{OURS})",
            },
            COUNT,
        ),
        number(
            "Subscribers",
            "Open streams, all instances together.",
            {"": f"sum(flagsmith_sse_subscribers{OURS})"},
            COUNT,
        ),
        number(
            "Fullest instance",
            "Its subscribers as a share of the streams it takes.",
            {
                "": f"max(flagsmith_sse_subscribers{OURS}"
                f" / flagsmith_sse_subscribers_limit{OURS})"
            },
            SHARE,
            red_from=0.9,
        ),
        number(
            "Delivery p99",
            "From publishing an update to its being written to an instance's last "
            "subscriber.",
            {"": quantile(0.99, "flagsmith_sse_delivery_duration_seconds")},
            SECONDS,
            red_from=1,
        ),
        number(
            "Instances by version",
            "More than one version is right only while one replaces another.",
            {"{{version}}": f"count by (version) (flagsmith_sse_build_info{OURS})"},
            COUNT,
            named=True,
        ),
    ],
    "Subscribers": [
        graph(
            "Subscribers",
            "Open streams of each instance.",
            by("instance", f"flagsmith_sse_subscribers{OURS}"),
            COUNT,
            stacked=True,
        ),
        graph(
            "Streams opened and closed",
            "Both high at the same time: clients that reconnect again and again. The "
            "streams of a worker that was killed are not among the closed.",
            {
                "opened": f"sum({rate('flagsmith_sse_subscribers_total')})",
                "closed": f"sum({rate('flagsmith_sse_disconnects_total')})",
            },
            PER_SECOND,
        ),
        graph(
            "Environments",
            "With at least one subscriber on that instance; one that has some on two "
            "workers counts twice.",
            by("instance", f"flagsmith_sse_environments{OURS}"),
            COUNT,
        ),
        graph(
            "Disconnects by reason",
            "client: it closed the connection; error: the connection broke; stalled: "
            "the client read nothing for too long; aged: the stream had lasted long "
            "enough; drained: the instance shuts down.",
            by("reason", rate("flagsmith_sse_disconnects_total")),
            PER_SECOND,
        ),
        graph(
            "Rejections by reason",
            "Streams answered with 503. nats: NATS is away; full: the instance has as "
            "many subscribers as it takes; draining: it shuts down; failed: its "
            "background work has died.",
            by("reason", rate("flagsmith_sse_rejections_total")),
            PER_SECOND,
        ),
        graph(
            "Lagging subscribers",
            "Their connection is backed up: each keeps only its newest update until it "
            "reads, and is dropped when it does not for too long.",
            by("instance", f"flagsmith_sse_lagging_subscribers{OURS}"),
            COUNT,
        ),
        graph(
            "Subscribers by client",
            "Kinds of clients by their User-Agent, of all instances together. Several "
            "SDKs send that of their HTTP library: android is OkHttp, ios CFNetwork, "
            "flutter Dart.",
            by("client", f"flagsmith_sse_subscribers_by_client{OURS}"),
            COUNT,
            stacked=True,
        ),
    ],
    "Publishing and delivery": [
        graph(
            "Publish requests by status",
            "202 is an update that JetStream has stored. 503 is retried by the task "
            "processor. 401 is a wrong SSE_AUTHENTICATION_TOKEN.",
            by("status", rate("flagsmith_sse_publish_requests_total")),
            PER_SECOND,
        ),
        graph(
            "Publish latency",
            "From a publisher's request to JetStream's confirmation.",
            quantiles("flagsmith_sse_publish_duration_seconds"),
            SECONDS,
        ),
        graph(
            "Updates read from JetStream",
            "By each worker. All read every update: the lines lie on one another.",
            {
                "{{instance}}": f"{rate('flagsmith_sse_updates_total')}"
                f" / flagsmith_sse_workers{OURS}"
            },
            PER_SECOND,
        ),
        graph(
            "Deliveries by kind",
            "What was written to clients.",
            by("message", rate("flagsmith_sse_http_writes_total")),
            PER_SECOND,
        ),
        graph(
            "Delivery latency",
            "From publishing an update, on whatever instance, to its being written to "
            "an instance's last subscriber.",
            quantiles("flagsmith_sse_delivery_duration_seconds"),
            SECONDS,
        ),
        graph(
            "Canary",
            "Where SSE_CANARY_SECONDS is set: from an instance's publishing an update "
            "over HTTP to its arrival on a stream of its own, 99th percentile.",
            {
                "{{instance}}": quantile(
                    0.99, "flagsmith_sse_canary_duration_seconds", "instance"
                )
            },
            SECONDS,
        ),
        graph(
            "Canaries that failed",
            "In the past 5 minutes. 0 where SSE_CANARY_SECONDS is not set, too.",
            by(
                "instance",
                f"increase(flagsmith_sse_canary_failures_total{OURS}[5m])",
            ),
            COUNT,
        ),
        graph(
            "Errors by kind",
            "Connections that broke, by what was written last.",
            by("message", rate("flagsmith_sse_http_errors_total")),
            PER_SECOND,
        ),
    ],
    "Connection to NATS": [
        graph(
            "Connected to NATS",
            "The share of each instance's workers that are.",
            {
                "{{instance}}": f"flagsmith_sse_nats_connected{OURS}"
                f" / flagsmith_sse_workers{OURS}"
            },
            SHARE,
        ),
        graph(
            "Consumer lag",
            "Updates that JetStream has stored and the instance has not read yet.",
            by("instance", f"flagsmith_sse_consumer_lag{OURS}"),
            COUNT,
        ),
        graph(
            "Updates that wait for NATS",
            "Taken from publishers while JetStream could not store them. Nobody is "
            "told of them until it has.",
            by("instance", f"flagsmith_sse_outbox_updates{OURS}"),
            COUNT,
        ),
        graph(
            "NATS errors by operation",
            "read: a message on our subjects that is no update.",
            by("operation", rate("flagsmith_sse_nats_errors_total")),
            PER_SECOND,
        ),
    ],
    "Instances": [
        graph(
            "Event-loop lag",
            "The longest that an event loop was late in the last seconds; of an "
            "instance's workers the worst.",
            {"{{instance}}": f"flagsmith_sse_event_loop_lag_seconds{OURS}"},
            SECONDS,
        ),
        graph(
            "CPU",
            "Of all of an instance's workers; 100 % is one core.",
            by("instance", rate("process_cpu_seconds_total")),
            SHARE,
        ),
        graph(
            "Resident memory",
            "Of all of an instance's workers.",
            by("instance", f"process_resident_memory_bytes{OURS}"),
            BYTES,
        ),
        graph(
            "Open files",
            "Of all of an instance's workers: each subscriber is one.",
            by("instance", f"process_open_fds{OURS}"),
            COUNT,
        ),
        graph(
            "Restarts and reconnections",
            "In the past 5 minutes. Workers and bridges start again only after a "
            "failure.",
            {
                name: f"sum(increase(flagsmith_sse_{metric}{OURS}[5m]))"
                for name, metric in {
                    "workers": "worker_restarts_total",
                    "bridges": "bridge_restarts_total",
                    "reconnected": "nats_reconnects_total",
                }.items()
            },
            COUNT,
        ),
        graph(
            "Uptime",
            "Of each instance; of several workers, of what started them.",
            {"{{instance}}": f"time() - process_start_time_seconds{OURS}"},
            SECONDS,
        ),
    ],
    "NATS (prometheus-nats-exporter)": [
        graph(
            "Connections",
            "Each of our processes holds one.",
            {"{{server_id}}": nats("varz_connections")},
            COUNT,
        ),
        graph(
            "Messages per second",
            "Of all kinds, acknowledgements and NATS's own included.",
            {
                "in {{server_id}}": rate("", nats("varz_in_msgs")),
                "out {{server_id}}": rate("", nats("varz_out_msgs")),
            },
            PER_SECOND,
        ),
        graph(
            "Slow consumers",
            "Connections that NATS has closed since its start because they did not "
            "read. Ours must not be among them.",
            {"{{server_id}}": nats("varz_slow_consumers")},
            COUNT,
        ),
        graph(
            "Environments in the stream",
            "The latest update of each environment that was updated in the past hour.",
            by("stream_name", stream("total_messages")),
            COUNT,
        ),
        graph(
            "Size of the stream",
            "Stored bytes.",
            by("stream_name", stream("total_bytes")),
            BYTES,
        ),
        graph(
            "Consumers of the stream",
            "Each of our workers has one, and a dead one's stays for half a minute.",
            by("stream_name", stream("consumer_count")),
            COUNT,
        ),
        graph(
            "CPU of NATS",
            "100 % is one core.",
            {"{{server_id}}": nats("varz_cpu") + " / 100"},
            SHARE,
        ),
        graph(
            "Resident memory of NATS",
            "",
            {"{{server_id}}": nats("varz_mem")},
            BYTES,
        ),
    ],
}
