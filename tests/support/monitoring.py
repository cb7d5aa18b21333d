"""The service, its nats-server and the Prometheus that reads both."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.nats import NatsServer
from tests.support.nats_exporter import nats_exporter
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.service import Service, running_service
from tests.support.waiting import eventually

ANSWER_SECONDS = 30


@dataclass
class Monitored:
    """Instances of the service with their nats-server, and the Prometheus that reads
    them; `since` is the Unix time at which all was well."""

    services: list[Service]
    nats: NatsServer
    prometheus: Prometheus
    since: float

    def has_data(self, expression: str) -> bool:
        """Whether `expression` has had a value, a number, since then."""
        found = self.prometheus.query_range(expression, self.since, time.time())
        return any(series.values for series in found)

    def await_data(self, expressions: dict[str, str]) -> None:
        """Wait until each has had a value; fail with those that have not."""
        pending = dict(expressions)

        def all_found() -> bool:
            for name in [n for n, e in pending.items() if self.has_data(e)]:
                del pending[name]
            return not pending

        eventually(all_found, seconds=ANSWER_SECONDS, what=pending)


@contextmanager
def monitoring(
    folder: Path,
    servers: Sequence[str],
    *,
    arguments: Sequence[str] = (),
    **environment: str,
) -> Iterator[Monitored]:
    """An instance on each of `servers`, with `arguments` to `serve` and `environment`
    among its variables, that Prometheus has read when they were ready; of more than one
    none has a `METRICS_ADDR`."""
    nats = NatsServer(folder / "nats")
    nats.start()
    with ExitStack() as stack:
        stack.callback(nats.stop)
        services = [
            stack.enter_context(
                running_service(
                    server, nats.url, folder, arguments=arguments, **environment
                )
            )
            for server in servers
        ]
        for service in services:
            service.await_ready()
        exporter = stack.enter_context(nats_exporter(lambda: nats.monitoring_url))
        instances = [
            environment.get("METRICS_ADDR", f"127.0.0.1:{service.port}")
            for service in services
        ]
        jobs = {"flagsmith-sse": instances, "nats": [exporter]}
        prometheus = stack.enter_context(running_prometheus(folder, jobs))
        monitored = Monitored(services, nats, prometheus, time.time())
        ready = "flagsmith_sse_ready == flagsmith_sse_workers"
        monitored.await_data({"ready": f"count({ready}) == {len(services)}"})
        monitored.since = time.time()
        yield monitored
