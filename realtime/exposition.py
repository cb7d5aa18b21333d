"""What Prometheus reads: this process's metrics, or those of all workers together.

django-prometheus's own view will not do: two of the documented names, the gauge
`flagsmith_sse_subscribers` and the counter `flagsmith_sse_subscribers_total`, are one
metric to `prometheus_client` and to OpenMetrics. The classic text format takes both.
"""

import os
from collections.abc import Iterable
from typing import Final

from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from realtime.metrics import OPEN_SUBSCRIBERS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The classic text format, whatever the scraper accepts."""

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which `prometheus_client` makes several processes write
to files in one folder."""

_SUBSCRIBERS: Final = "flagsmith_sse_subscribers"


def exposition(folder: str | None = None) -> bytes:
    """All metrics in the classic text format: of the workers that write to `folder`
    (default: what `PROMETHEUS_MULTIPROC_DIR` says), or else of this process."""
    folder = folder or os.environ.get(FOLDER)
    source: Collector = REGISTRY
    if folder:
        source = MultiProcessCollector(None, folder)  # type: ignore[no-untyped-call]
    return generate_latest(_Documented(source))


def metrics_view(request: HttpRequest) -> HttpResponse:
    """`GET /metricsz`."""
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


class _Documented(Collector):
    """The metrics of `source` under their documented names."""

    def __init__(self, source: Collector) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for metric in self._source.collect():
            if metric.name == OPEN_SUBSCRIBERS:
                metric.name = _SUBSCRIBERS
                metric.samples = [
                    sample._replace(name=_SUBSCRIBERS) for sample in metric.samples
                ]
            yield metric
