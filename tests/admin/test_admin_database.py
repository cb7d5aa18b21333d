"""The admin where its database cannot be used: it says so, and nothing else suffers."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.admin.fleet import (
    PASSWORD,
    admin_session,
    admin_variables,
    create_database,
)
from tests.integration.test_commands import ctrl_c, manage, running
from tests.support.postgres import running_postgres
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

BROWSER = "text/html"
UNREACHABLE = "postgres://me:hunter2@127.0.0.1:1/admin"


def admin_page(
    service: Service, path: str = "/admin/", accept: str = BROWSER
) -> requests.Response:
    """What somebody gets who has no session."""
    service.expected_errors.add(f"Service Unavailable: {path}")
    return requests.get(
        f"{service.url}{path}",
        headers={"Accept": accept},
        timeout=10,
        allow_redirects=False,
    )


async def test_admin__not_migrated__says_so_at_the_start_and_in_place_of_pages(
    shared_nats: EmbeddedNats, server: str, environment: str, tmp_path: Path
) -> None:
    # Given
    variables = admin_variables(tmp_path / "new.sqlite3")
    with running_service(server, shared_nats.url, tmp_path, **variables) as service:
        service.await_logged("admin.database_unusable")
        service.await_ready()

        # When
        page = admin_page(service)
        machine = admin_page(
            service, "/admin/realtime/fleet/report.json", accept="application/json"
        )
        async with Stream(service.stream_url(environment)) as stream:
            published = service.publish(environment, 12.5)
            received = await stream.next_event()

        # Then
        [reason] = {e["reason"] for e in service.events("admin.database_unusable")}
        assert "`python manage.py migrate`" in reason
        assert page.status_code == machine.status_code == 503
        assert "<code>python manage.py migrate</code>" in page.text
        assert machine.json() == {
            "detail": "The admin's database has not all of its tables."
        }
        assert published.status_code == 202
        assert received == event("12.5")

        # When: somebody does what it says
        done = manage(
            "migrate", environment={"SSE_AUTHENTICATION_TOKEN": "x", **variables}
        )

        # Then
        assert done.returncode == 0
        eventually(lambda: admin_page(service).status_code == 302, what="the login")


def test_admin__database_out_of_reach__says_so_without_the_password(
    shared_nats: EmbeddedNats, single_server: str, tmp_path: Path
) -> None:
    # Given
    with running_service(
        single_server,
        shared_nats.url,
        tmp_path,
        SSE_ADMIN_ENABLED="true",
        DATABASE_URL=UNREACHABLE,
    ) as service:
        service.await_logged("admin.database_unusable")

        # When
        page = admin_page(service)

    # Then
    assert page.status_code == 503
    assert "The admin&#x27;s database cannot be reached." in page.text
    assert "127.0.0.1" not in page.text
    log = service.log.read_text()
    assert "Connection refused" in log
    assert "hunter2" not in log + page.text


def test_admin__database_lost_while_it_runs__says_so(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with ExitStack() as stack:
        folder = stack.enter_context(running_postgres())
        socket = quote(str(folder), safe="")
        variables = {
            "SSE_ADMIN_ENABLED": "true",
            "DATABASE_URL": f"postgres://postgres@{socket}/postgres",
        }
        secret = {"SSE_AUTHENTICATION_TOKEN": "x"}
        assert manage("migrate", environment=secret | variables).returncode == 0
        with running_service(
            "serve", shared_nats.url, tmp_path, **variables
        ) as service:
            there = admin_page(service, "/admin/login/")

            # When
            stack.close()
            lost = admin_page(service, "/admin/login/")

    # Then
    assert there.status_code == 200
    assert lost.status_code == 503
    assert "cannot be reached" in lost.text


def test_admin__tables_lost_while_it_runs__says_so(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    file = create_database(tmp_path / "admin.sqlite3")
    with running_service(
        "serve", shared_nats.url, tmp_path, **admin_variables(file)
    ) as service:
        session = admin_session(service.url, "operator", PASSWORD)
        there = session.get(f"{service.url}/admin/", timeout=10)

        # When
        file.unlink()
        service.expected_errors.add("Service Unavailable: /admin/")
        lost = session.get(
            f"{service.url}/admin/", headers={"Accept": BROWSER}, timeout=10
        )

    # Then
    assert there.status_code == 200
    assert lost.status_code == 503
    assert "python manage.py migrate" in lost.text


def test_check__admin_not_migrated__error_if_asked_for(tmp_path: Path) -> None:
    # Given
    variables = admin_variables(tmp_path / "new.sqlite3")
    secret = {"SSE_AUTHENTICATION_TOKEN": "x"}

    # When
    offline = manage("check", environment=secret | variables)
    online = manage(
        *("check", "--deploy", "--tag", "admin"), environment=secret | variables
    )

    # Then
    assert offline.returncode == 0
    assert online.returncode == 1
    assert "Run `python manage.py migrate`" in online.stderr


def test_serve_with_nats__database_out_of_reach__says_so_and_goes_on(
    tmp_path: Path,
) -> None:
    # Given
    log = tmp_path / "log"
    with running(
        *("serve", "--with-nats", f"--nats-store={tmp_path / 'store'}"),
        environment={"SSE_ADMIN_ENABLED": "true", "DATABASE_URL": UNREACHABLE},
        output=log,
    ) as process:
        # When
        eventually(lambda: "nats.connected" in log.read_text(), what="the start")
        stopped = ctrl_c(process)

    # Then
    text = log.read_text()
    assert "The admin's database cannot be used (" in text
    assert stopped == 0
    assert "Traceback" not in text
    assert "hunter2" not in text
