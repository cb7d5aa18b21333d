"""A service that ends its streams, and a Flagsmith API to refetch from."""

from collections.abc import Iterator

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.sdks.flagsmith_api import FlagsmithApi, flagsmith_api
from tests.support.service import Service, running_service


@pytest.fixture(scope="session")
def ageing_service(
    service: Service,
    shared_nats: EmbeddedNats,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service on the same server as `service` that ends each stream after a second or
    so, with its last chunk."""
    folder = tmp_path_factory.mktemp("ageing")
    with running_service(
        service.server, shared_nats.url, folder, SSE_MAX_STREAM_AGE_SECONDS="1"
    ) as ageing:
        ageing.await_ready()
        yield ageing


@pytest.fixture
def api(environment: str) -> Iterator[FlagsmithApi]:
    """A Flagsmith API that holds the test's environment."""
    with flagsmith_api(environment) as api:
        yield api
