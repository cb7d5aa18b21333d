"""`realtime` in another Django project: it publishes, hosts the endpoints, and hands
updates on to its own WebSockets."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from realtime.server.embedded_nats import EmbeddedNats
from tests.host_project.websocket import WebSocket
from tests.support.fresh import fresh_variables
from tests.support.service import ROOT, TOKEN, Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

SETTINGS = "tests.host_project.settings"


@pytest.fixture(scope="module")
def project(
    shared_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The project on Daphne, which serves WebSockets too."""
    with running_service(
        *("daphne", shared_nats.url, tmp_path_factory.mktemp("project")),
        application="tests.host_project.asgi:application",
        DJANGO_SETTINGS_MODULE=SETTINGS,
    ) as service:
        service.await_ready()
        yield service


@pytest.mark.parametrize("view", ["publish", "apublish"])
async def test_view__publishes__streams_of_the_project_and_of_the_service_are_told(
    project: Service, service: Service, environment: str, view: str
) -> None:
    # Given
    async with (
        Stream(project.stream_url(environment)) as own,
        Stream(service.stream_url(environment)) as other,
    ):
        # When
        answer = await asyncio.to_thread(
            requests.post,
            f"{project.url}/{view}/{environment}",
            data="2023-01-12T18:06:42.028060+00:00",
            timeout=5,
        )

        # Then
        assert answer.status_code == 202
        assert await own.next_event() == event("1673546802.02806")
        assert await other.next_event() == event("1673546802.02806")


@pytest.mark.parametrize("key", ["usual", "ser.with_every-character", "k" * 100])
async def test_channel_layer__configured__group_of_the_environment_is_told(
    project: Service, service: Service, environment: str, key: str
) -> None:
    # Given: published before, which is nothing new to those who join the group
    key = (environment + key)[:100]
    project.publish(key, 1)
    async with Stream(project.stream_url(key)) as stream:
        assert await stream.next_event() == event("1")
        async with WebSocket(f"{project.url}/{key}") as socket:
            # When
            service.publish(key, 1735229888.76)
            first = await socket.receive_json()
            project.publish(key, 2)
            second = await socket.receive_json()

        # Then
        assert first["type"] == "environment.updated"
        assert first["environment"] == key
        assert [first["updated_at"], second["updated_at"]] == [1735229888.76, 2]
        assert second["sequence"] > first["sequence"]
        assert await stream.next_event() == event("1735229888.76")


def test_metrics_view__in_the_urls_of_the_project__documented_metrics(
    project: Service, environment: str
) -> None:
    # When
    project.publish(environment, 1)
    # Then
    assert project.metric("flagsmith_sse_nats_connected") == 1
    assert project.metric('flagsmith_sse_publish_requests_total{status="202"}') >= 1


def test_host__probes_of_the_project__left_to_it(project: Service) -> None:
    # When
    answers = {
        path: requests.get(project.url + path, timeout=5)
        for path in ("/health/liveness/", "/readyz", "/livez")
    }
    # Then
    assert answers["/health/liveness/"].text == "the project lives"
    assert answers["/readyz"].text == ""
    assert answers["/livez"].status_code == 404


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The project's `manage.py`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=ROOT,
        env=fresh_variables(
            DJANGO_SETTINGS_MODULE=SETTINGS, PYTHONPATH=os.fspath(ROOT), **variables
        ),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("--workers=2",)])
async def test_serve__of_a_project__serves_what_it_hosts_and_ends_with_0(
    shared_nats: EmbeddedNats, environment: str, arguments: tuple[str, ...]
) -> None:
    # Given
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "django", "serve", *arguments),
        cwd=ROOT,
        env=fresh_variables(
            DJANGO_SETTINGS_MODULE=SETTINGS,
            PYTHONPATH=os.fspath(ROOT),
            LISTEN_ADDR=f"127.0.0.1:{port}",
            NATS_URL=shared_nats.url,
            SSE_AUTHENTICATION_TOKEN=TOKEN,
        ),
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await asyncio.to_thread(eventually, lambda: lives(url), what="the server")
        # When
        async with Stream(f"{url}/sse/environments/{environment}/stream"):
            process.terminate()
            # Then
            assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()


def lives(url: str) -> bool:
    try:
        answer = requests.get(f"{url}/health/liveness/", timeout=5)
    except requests.ConnectionError:
        return False
    return answer.text == "the project lives"


def test_serve__project_without_an_application__says_what_it_needs(
    settings: Settings,
) -> None:
    # Given
    del settings.ASGI_APPLICATION
    # When / Then
    with pytest.raises(CommandError, match="ASGI_APPLICATION"):
        call_command("serve")


def test_commands__of_a_project__work(project: Service, environment: str) -> None:
    # Given
    there = {"SSE_AUTHENTICATION_TOKEN": TOKEN}

    # When
    tokenless = manage("publish_update", environment)
    published = manage("publish_update", environment, "--url", project.url, **there)

    # Then
    assert "SSE_AUTHENTICATION_TOKEN is not set" in tokenless.stderr
    assert published.stdout.startswith("Published")


@pytest.mark.parametrize(
    ("token", "passes"), [(None, True), ("secret", True), ("", False), ("a b", False)]
)
def test_check__token__needed_only_where_the_setting_is_there(
    token: str | None, passes: bool
) -> None:
    # Given
    variables = {} if token is None else {"SSE_AUTHENTICATION_TOKEN": token}

    # When
    done = manage("check", **variables)

    # Then
    assert (done.returncode == 0) is passes, done.stderr
    assert ("SSE_AUTHENTICATION_TOKEN" in done.stderr) is not passes


EXPOSE = """
import django
django.setup()
from realtime.monitoring.exposition import exposition

print(exposition().decode())
"""


def test_metrics__of_a_project_that_serves_nothing__tell_of_no_instance() -> None:
    # When
    done = subprocess.run(
        [sys.executable, "-c", EXPOSE],
        cwd=ROOT,
        env=fresh_variables(
            DJANGO_SETTINGS_MODULE=SETTINGS, PYTHONPATH=os.fspath(ROOT)
        ),
        capture_output=True,
        text=True,
        check=False,
    )

    # Then
    assert done.returncode == 0, done.stderr
    assert "\nflagsmith_sse_workers 0.0\n" in done.stdout
    assert "flagsmith_sse_build_info{" not in done.stdout


LOOK = """
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
client = Client()
client.force_login(User.objects.create_superuser("operator"))
index = client.get("/admin/").content.decode()
page = client.get("/admin/realtime/fleet/")
assert "Real-time health" in index
assert page.status_code == 200
print(page.content.decode())
"""


def test_admin__of_a_project_that_serves_nothing__shows_the_fleet(
    service: Service, shared_nats: EmbeddedNats
) -> None:
    # When
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=ROOT,
        env=fresh_variables(
            DJANGO_SETTINGS_MODULE="tests.host_project.with_admin",
            PYTHONPATH=os.fspath(ROOT),
            NATS_URL=shared_nats.url,
        ),
        capture_output=True,
        text=True,
        check=False,
    )

    # Then
    assert done.returncode == 0, done.stderr
    [process, *_] = [*service.workers(), service.process.pid]
    assert f"({process}" in done.stdout
