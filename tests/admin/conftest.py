"""A database for services with the admin, Django's client for who may do what, and a
browser."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from playwright.async_api import Browser, Page
from pytest_django.fixtures import Settings

from realtime.conf import RealtimeSettings
from realtime.fleet.overview_memory import OverviewMemory
from realtime.fleet.presence import Presence
from realtime.server.embedded_nats import embedded_nats
from tests.admin.fleet import PASSWORD, USERS, Fleet, create_database, running_fleet
from tests.support.browser import chromium, note_errors
from tests.support.nats import NatsServer


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process remembers no instance of another test's fleet."""
    monkeypatch.setattr("realtime.fleet.survey._presence", Presence())
    monkeypatch.setattr("realtime.fleet.overview._memory", OverviewMemory())


@pytest.fixture(scope="session")
def admin_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `USERS` in it; sessions and the log are all that tests add."""
    return create_database(tmp_path_factory.mktemp("admin") / "admin.sqlite3")


@pytest.fixture
def fleet(tmp_path: Path, admin_database: Path) -> Iterator[Fleet]:
    """A fleet of the test's own, to stop, and to look at as a whole."""
    with running_fleet(tmp_path, admin_database) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def shared_fleet(
    tmp_path_factory: pytest.TempPathFactory, admin_database: Path
) -> Iterator[Fleet]:
    """A fleet for tests that leave it as it was, and ask about nothing but their own
    environment."""
    with running_fleet(tmp_path_factory.mktemp("fleet"), admin_database) as fleet:
        yield fleet


@pytest.fixture
def nats_settings(nats: NatsServer, settings: Settings) -> RealtimeSettings:
    """This process's settings, for a NATS of the test's own."""
    settings.NATS_URL = [nats.url]
    return RealtimeSettings.from_django()


@pytest.fixture
def url_without_fleet(tmp_path: Path) -> Iterator[str]:
    """Of a NATS whose only user may not use the fleet's subjects: permissions from
    before there was a fleet to ask."""
    config = tmp_path / "nats.conf"
    config.write_text(
        'authorization { users = [{ user: "sse", password: "secret", permissions: {'
        ' publish: { deny: "flagsmith.fleet.>" },'
        ' subscribe: { deny: "flagsmith.fleet.>" } } }] }'
    )
    with embedded_nats(tmp_path / "nats", arguments=[f"--config={config}"]) as nats:
        yield nats.url.replace("nats://", "nats://sse:secret@")


@pytest.fixture
def users(db: None) -> dict[str, User]:
    """`USERS`, in this process's database."""
    found = {}
    for name, codenames in USERS.items():
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        found[name] = user
    return found


@pytest.fixture
def operator(users: dict[str, User]) -> Client:
    """Logged in, and may do everything."""
    client = Client()
    client.force_login(users["operator"])
    return client


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in which nothing may go wrong, above all nothing that the
    Content-Security-Policy forbids."""
    errors: list[str] = []
    # A context of its own, in which a test can open another page.
    context = await browser.new_context()
    page = await context.new_page()
    note_errors(page, errors)
    yield page
    assert not errors
