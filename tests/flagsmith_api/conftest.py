import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.flagsmith_api.flagsmith import MAKE_TABLES, NOBODY_LISTENS, Flagsmith
from tests.support.nats import NatsServer
from tests.support.postgres import running_postgres
from tests.support.service import TOKEN


@pytest.fixture(scope="session")
def configured(shared_nats: EmbeddedNats) -> Flagsmith:
    """Flagsmith with all that its environment has to say, but no database."""
    return Flagsmith(
        {
            "NATS_URL": shared_nats.url,
            "SSE_SERVER_BASE_URL": NOBODY_LISTENS,
            "SSE_AUTHENTICATION_TOKEN": TOKEN,
        }
    )


@pytest.fixture(scope="session")
def with_database(configured: Flagsmith) -> Iterator[Flagsmith]:
    """The same with a PostgreSQL that has its tables."""
    with running_postgres() as sockets:
        variables = configured.variables | {"POSTGRES_SOCKETS": str(sockets)}
        flagsmith = dataclasses.replace(configured, variables=variables)
        flagsmith.run(MAKE_TABLES)
        yield flagsmith


@pytest.fixture
def flagsmith(with_database: Flagsmith, nats: NatsServer) -> Flagsmith:
    """The same, publishing to the test's own NATS."""
    variables = with_database.variables | {"NATS_URL": nats.url}
    return dataclasses.replace(with_database, variables=variables)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "processor.log"
