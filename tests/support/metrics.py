"""The service's metrics in tests: the names of its samples, and how far they moved."""

from prometheus_client import Counter

from realtime import metrics
from tests.support.service import Service
from tests.support.waiting import eventually


def labelled_samples() -> list[str]:
    """All that there are of the app's counters with a label."""
    return [
        f'{counter._name}_total{{{label}="{value}"}}'
        for family in vars(metrics).values()
        if isinstance(family, dict)
        for counter in family.values()
        if isinstance(counter, Counter)
        for label, value in zip(counter._labelnames, counter._labelvalues, strict=True)
    ]


def nats_error(operation: str) -> str:
    return f'flagsmith_sse_nats_errors_total{{operation="{operation}"}}'


def written(message: str) -> str:
    return f'flagsmith_sse_http_writes_total{{message="{message}"}}'


def broken(message: str) -> str:
    return f'flagsmith_sse_http_errors_total{{message="{message}"}}'


def disconnected(reason: str) -> str:
    return f'flagsmith_sse_disconnects_total{{reason="{reason}"}}'


def rejected(reason: str) -> str:
    return f'flagsmith_sse_rejections_total{{reason="{reason}"}}'


def of_client(kind: str) -> str:
    return f'flagsmith_sse_subscribers_by_client{{client="{kind}"}}'


def answered(status: int) -> str:
    return f'flagsmith_sse_publish_requests_total{{status="{status}"}}'


class Watch:
    """The metrics of `service`, against what they were when this was made."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._before = service.metrics()

    def moved(self, sample: str) -> float:
        return self._service.metric(sample) - self._before[sample]

    def await_moved(self, sample: str, by: float) -> None:
        eventually(lambda: self.moved(sample) == by, what=f"{sample} to move by {by}")

    def await_grown(self, sample: str) -> None:
        eventually(lambda: self.moved(sample) > 0, what=f"{sample} to grow")
