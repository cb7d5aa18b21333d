"""Fixtures of several modules here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.service import Service, running_service


@pytest.fixture
def workers(shared_nats: EmbeddedNats, tmp_path: Path) -> Iterator[Service]:
    """A service of two workers that are ready, of the test's own."""
    with running_service("workers", shared_nats.url, tmp_path) as service:
        service.await_logged("nats.connected", 2)
        yield service


@pytest.fixture(params=["serve", "workers"])
def serving(request: pytest.FixtureRequest) -> str:
    """One worker, and two."""
    name: str = request.param
    return name
