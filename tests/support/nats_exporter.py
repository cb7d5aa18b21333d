"""Stands in for prometheus-nats-exporter, which no package registry has: what it tells
of a nats-server.

Names and labels are those of its `RELEASE` with `-varz -jsz=streams`: each number in
`/varz` is a gauge called `gnatsd_varz_` and its key, and each stream's state is a few
gauges called `jetstream_stream_…`. All numbers are the nats-server's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

RELEASE = "0.20.2"
SERVER_ID = "nats-1"
STREAM_STATE = {
    # the exporter's name: the key in `/jsz`
    "total_messages": "messages",
    "total_bytes": "bytes",
    "consumer_count": "consumer_count",
    "subject_count": "num_subjects",
}


@contextmanager
def nats_exporter(monitoring_url: Callable[[], str | None]) -> Iterator[str]:
    """Serve the metrics of the nats-server that has this monitoring URL at the time,
    if it runs, on the host and port that is yielded."""
    registry = CollectorRegistry()
    registry.register(_NatsCollector(monitoring_url))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _NatsCollector(Collector):
    def __init__(self, monitoring_url: Callable[[], str | None]) -> None:
        self._monitoring_url = monitoring_url

    def collect(self) -> Iterator[GaugeMetricFamily]:
        url = self._monitoring_url()
        if url is None:
            return
        try:
            varz = requests.get(f"{url}/varz", timeout=5).json()
            jsz = requests.get(f"{url}/jsz?streams=true", timeout=5).json()
        except requests.ConnectionError:
            return
        yield from _varz(varz)
        yield from _streams(varz["server_name"], jsz)


def _varz(varz: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    for key, value in varz.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            gauge = GaugeMetricFamily(f"gnatsd_varz_{key}", key, labels=["server_id"])
            gauge.add_metric([SERVER_ID], value)
            yield gauge


def _streams(server: str, jsz: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    labels = ("server_id", "server_name", "account", "stream_name", "is_stream_leader")
    gauges = {
        key: GaugeMetricFamily(f"jetstream_stream_{name}", name, labels=labels)
        for name, key in STREAM_STATE.items()
    }
    for account in jsz.get("account_details", ()):
        for stream in account["stream_detail"]:
            leader = stream.get("cluster", {}).get("leader", server)
            whose = str(leader == server).lower()
            of_stream = [SERVER_ID, server, account["name"], stream["name"], whose]
            for key, gauge in gauges.items():
                gauge.add_metric(of_stream, stream["state"].get(key, 0))
    yield from gauges.values()
