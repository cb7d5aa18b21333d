"""The streaming endpoints have nothing to do with the database; what the admin serves
over HTTP, without a browser."""

import signal
import time
from pathlib import Path

import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.admin.fleet import PASSWORD, Fleet, admin_session, admin_url, admin_variables
from tests.support.counting import HEADER
from tests.support.raw_http import ask
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually


def connections(service: Service) -> int:
    """How often it has connected to its database so far."""
    answer = requests.get(f"{service.url}/metricsz", timeout=5)
    return int(answer.headers[HEADER])


async def use(service: Service, environment: str) -> None:
    """Subscribe, publish, ask for its health: all that SDKs, the task processor and
    probes do."""
    async with Stream(service.stream_url(environment)) as stream:
        assert service.publish(environment, 1).status_code == 202
        assert await stream.next_event() == event("1")
    assert service.publish(environment, 1, token="wrong").status_code == 401
    for path in ("livez", "readyz", "health/liveness/", "health/readiness/"):
        answer = ask(service, "GET", f"/{path}")
        assert answer.status == 200
        assert "set-cookie" not in answer.headers
        assert "x-frame-options" not in answer.headers


async def test_streams__admin_enabled__never_connect_to_the_database(
    single_server: str,
    shared_nats: EmbeddedNats,
    tmp_path: Path,
    admin_database: Path,
    environment: str,
) -> None:
    # Given
    with running_service(
        single_server,
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.counting",
        **admin_variables(admin_database),
    ) as service:
        service.await_ready()
        # The process looks once, when it starts, whether the admin will work.
        eventually(lambda: connections(service) == 1, what="the look at the start")

        # When
        await use(service, environment)

        # Then
        assert connections(service) == 1

        # When: what does ask the database
        cookie = {"Cookie": "flagsmith_sse_sessionid=anything"}
        ask(service, "GET", "/admin/", cookie)

        # Then
        assert connections(service) == 2


async def test_streams__database_down__go_on(
    single_server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: an admin whose database cannot be opened
    with running_service(
        single_server,
        shared_nats.url,
        tmp_path,
        **admin_variables(tmp_path / "no such folder" / "admin.sqlite3"),
    ) as service:
        service.await_ready()

        # When / Then
        await use(service, environment)


async def test_streams__no_driver_for_the_database_and_no_admin__go_on(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: what `DATABASE_URL` names need not even be installed
    with running_service(
        *("serve", shared_nats.url, tmp_path),
        DATABASE_URL="oracle://me:secret@127.0.0.1:1/name",
    ) as service:
        service.await_ready()

        # When / Then
        await use(service, environment)
        assert ask(service, "GET", "/admin/").status == 404


def test_admin__static_files__served_with_their_type_by_every_server(
    shared_fleet: Fleet,
) -> None:
    # Given
    types = {
        "realtime/fleet.css": "text/css",
        "realtime/fleet.js": "text/javascript",
        "admin/css/base.css": "text/css",
        "admin/img/icon-yes.svg": "image/svg+xml",
    }
    for service in shared_fleet.services:
        for path, content_type in types.items():
            # When
            answer = requests.get(f"{service.url}/static/{path}", timeout=5)

            # Then
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(content_type)
            assert answer.content
        missing = requests.get(f"{service.url}/static/../manage.py", timeout=5)
        assert missing.status_code == 404


def test_admin__session_of_one_server__good_on_the_other(fleet: Fleet) -> None:
    # Given
    session = admin_session(fleet.workers.url, "viewer", PASSWORD)

    for service in fleet.services:
        # When
        report = session.get(report_url(service), timeout=5).json()

        # Then
        assert report["verdict"]["level"] == "well"
        assert len(report["instances"]) == 3


def test_admin__nats_hangs__said_within_two_seconds_with_what_is_known_here(
    fleet: Fleet,
) -> None:
    # Given
    session = admin_session(fleet.daphne.url, "viewer", PASSWORD)
    own = fleet.daphne.process.pid
    others = fleet.workers.workers()
    fleet.nats.signal(signal.SIGSTOP)
    try:
        for connected in (True, False):
            # When: the connection still seems to stand, then it is given up
            fleet.daphne.await_ready(connected)
            began = time.monotonic()
            report = session.get(report_url(fleet.daphne), timeout=5).json()

            # Then
            assert time.monotonic() - began < 2
            assert report["verdict"]["level"] == "down"
            assert "no answer" in report["nats_error"] or (
                "does not answer" in report["nats_error"]
            )
            assert [one["pid"] for one in report["instances"]] == [own]
            assert {one["pid"] for one in report["missing"]} == set(others)
    finally:
        fleet.nats.signal(signal.SIGCONT)


def report_url(service: Service) -> str:
    return admin_url(service, "realtime/fleet/report.json")
