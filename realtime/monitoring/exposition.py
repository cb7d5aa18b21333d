"""What Prometheus reads: this process's metrics, or those of all workers together.

django-prometheus's own view will not do: two of the documented names, the gauge
`flagsmith_sse_subscribers` and the counter `flagsmith_sse_subscribers_total`, are one
metric to `prometheus_client` and to OpenMetrics. The classic text format takes both.
"""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, Protocol

from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, Metric, generate_latest
from prometheus_client.registry import Collector

from realtime.exceptions import MetricsUnavailable
from realtime.http.asgi import SERVICE
from realtime.metrics import OPEN_SUBSCRIBERS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The classic text format, whatever the scraper accepts."""

_SUBSCRIBERS: Final = "flagsmith_sse_subscribers"


class _Exposing(Protocol):
    """The service of this process, as far as it is needed here."""

    async def expose(self) -> bytes: ...


def render(source: Collector) -> bytes:
    """The metrics of `source` in the classic text format."""
    return generate_latest(_Documented(source))


def exposition() -> bytes:
    """All metrics of this process in the classic text format."""
    return render(REGISTRY)


async def expose() -> bytes:
    """The same, for an event loop: the open files are counted, of which there may be
    very many."""
    return await asyncio.to_thread(exposition)


async def metrics_view(request: HttpRequest) -> HttpResponse:
    """`GET /metricsz`: of this process, or of all workers if it is one of several; 503
    if their supervisor does not answer."""
    service: _Exposing | None = getattr(request, "scope", {}).get(SERVICE)
    try:
        text = await (service.expose() if service is not None else expose())
    except MetricsUnavailable as error:
        return HttpResponse(str(error), status=HTTPStatus.SERVICE_UNAVAILABLE)
    return HttpResponse(text, content_type=CONTENT_TYPE)


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
