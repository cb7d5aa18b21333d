"""Fixtures that chain: folder → nats-server → service. Every test gets its own
environment key, so that tests may share a service and run in any order."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats, embedded_nats
from tests.support.nats import NatsServer
from tests.support.service import SERVERS, SINGLE_SERVERS, Service, running_service

MOST_RERUNS = 3
"""With real servers on a shared machine one of thousands of tests may fail by chance
and is run again. It is listed as RERUN, and is a fault to be looked at; more than this
are no chance."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and len(reporter.stats.get("rerun", ())) > MOST_RERUNS:
        reporter.write_line(f"More than {MOST_RERUNS} tests were run again.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A nats-server for tests that leave it alone."""
    with embedded_nats(tmp_path_factory.mktemp("nats")) as nats:
        yield nats


@pytest.fixture(scope="session", params=SERVERS)
def service(
    request: pytest.FixtureRequest,
    shared_nats: EmbeddedNats,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service on each server in turn, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("service")
    with running_service(request.param, shared_nats.url, folder) as service:
        service.await_ready()
        yield service


@pytest.fixture(scope="module")
def served(
    shared_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A module's service on our own server, for what is the same on every server."""
    folder = tmp_path_factory.mktemp("served")
    with running_service("serve", shared_nats.url, folder) as service:
        service.await_ready()
        yield service


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of the test's own, to stop and to look into."""
    nats = NatsServer(tmp_path / "nats")
    nats.start()
    yield nats
    nats.stop()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """The name of each server in turn, for tests that start their own services."""
    name: str = request.param
    return name


@pytest.fixture(params=SINGLE_SERVERS)
def single_server(request: pytest.FixtureRequest) -> str:
    """The name of each server that is one process."""
    name: str = request.param
    return name


@pytest.fixture
def environment() -> str:
    """An environment key that no other test uses."""
    return secrets.token_hex(11)
