"""The button that probes: in real Chromium, and what it does not send the secret to."""

from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from playwright.async_api import Browser, ViewportSize, expect
from pytest_django.fixtures import Settings

from realtime.admin.probe_addresses import probe_addresses
from realtime.http.asgi import SERVICE
from tests.admin.fleet import PASSWORD, Fleet, admin_session, admin_url, log_in
from tests.admin.test_browser import log_entries
from tests.support.browser import note_errors

PROBE = "/admin/realtime/fleet/probe/"
PUBLIC = "https://realtime.example.com"
PHONE: ViewportSize = {"width": 390, "height": 844}
SOON = 20_000
"""Milliseconds, on a busy machine too."""


@pytest.mark.parametrize("server", ["workers", "daphne"])
async def test_probe__clicked_by_an_operator__each_step_with_its_time_and_logged(
    fleet: Fleet, browser: Browser, server: str, admin_database: Path
) -> None:
    # Given
    service = getattr(fleet, server)
    errors: list[str] = []
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    note_errors(page, errors)
    await log_in(page, service)

    # When
    await page.get_by_role("link", name="Probe").click()
    await expect(page.locator("#url option")).to_have_text(
        [service.url, "http://localhost:8088"]
    )
    await page.get_by_role("button", name="Probe").click()

    # Then
    await expect(page.locator("#verdict")).to_have_text("It works", timeout=SOON)
    steps = page.locator(".hops tbody th")
    await expect(steps).to_have_count(4)
    for number, said in enumerate(
        [
            "stream open in",
            "202 in",
            "read by 3 of 3 instances in",
            f"received at 127.0.0.1:{service.port} in",
        ]
    ):
        await expect(steps.nth(number)).to_contain_text(said)
    await page.set_viewport_size(PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    [(user, what)] = log_entries(admin_database, service.url)
    assert user == "operator"
    assert what.startswith("Probe: stream open in ")

    # When
    fleet.nats.kill()
    await page.get_by_role("button", name="Probe again").click()

    # Then
    verdict = page.locator(".verdict")
    await expect(page.locator("#verdict")).to_have_text(
        "It does not work", timeout=SOON
    )
    await expect(verdict).to_contain_text("The stream was answered with 503")
    assert not errors


def test_probe__address_that_a_form_names__not_asked(shared_fleet: Fleet) -> None:
    # Given
    session = admin_session(shared_fleet.daphne.url, "operator", PASSWORD)
    url = admin_url(shared_fleet.daphne, "realtime/fleet/probe/")
    session.get(url, timeout=5)
    token = session.cookies["flagsmith_sse_csrftoken"]
    # Written out: otherwise another host would not get them.
    cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())

    for host, named in [
        (f"127.0.0.1:{shared_fleet.daphne.port}", shared_fleet.workers.url),
        # That it calls itself so, too.
        ("evil.example", "http://evil.example"),
    ]:
        # When
        answer = requests.post(
            url,
            {"url": named, "csrfmiddlewaretoken": token},
            headers={"Host": host, "Cookie": cookies},
            timeout=5,
        )

        # Then
        assert answer.status_code == 400
        assert "The secret is sent only to the addresses below." in answer.text
        assert f"<option selected>{named}" not in answer.text
        assert f"<option>{named}" not in answer.text
    assert "The address of this page, <code>http://evil.example" in answer.text


def test_probe__user_who_may_only_look__forbidden(users: dict[str, User]) -> None:
    # Given
    viewer = Client()
    viewer.force_login(users["viewer"])

    # Then
    assert viewer.get(PROBE).status_code == 403
    assert viewer.post(PROBE, {"url": PUBLIC}).status_code == 403
    assert b"Probe" not in viewer.get("/admin/realtime/fleet/").content
    assert not LogEntry.objects.exists()


def test_probe__without_csrf_token__refused(users: dict[str, User]) -> None:
    # Given
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(users["operator"])

    # Then
    assert strict.post(PROBE, {"url": PUBLIC}).status_code == 403


def test_probe__no_secret_here__says_so(operator: Client, settings: Settings) -> None:
    # Given
    settings.SSE_AUTHENTICATION_TOKEN = ""
    # When
    answer = operator.get(PROBE)
    # Then
    assert "There is no SSE_AUTHENTICATION_TOKEN here" in answer.content.decode()


def offered(
    host: str, server: tuple[str, int] | None, **meta: Any
) -> tuple[list[str], str | None]:
    """What a request is offered that names `host`, over a connection to `server`; of a
    process that serves streams, unless that is None."""
    request = RequestFactory().get(PROBE, headers={"host": host}, **meta)
    if server is not None:
        request.scope = {"server": server, SERVICE: object()}  # type: ignore[attr-defined]
    return probe_addresses(request)


@pytest.mark.parametrize(
    ("allowed", "host", "server"),
    [
        # No proxy in between: the host is where the connection goes.
        (["*"], "127.0.0.1:8088", ("127.0.0.1", 8088)),
        (["*"], "127.0.0.1:8088", ("::ffff:127.0.0.1", 8088)),
        (["*"], "localhost:8088", ("127.0.0.1", 8088)),
        (["*"], "[::1]:8088", ("::1", 8088)),
        # A name that the settings name.
        (["realtime.example.com"], "realtime.example.com", ("10.0.0.5", 8088)),
        (["realtime.example.com"], "realtime.example.com:8088", ("10.0.0.5", 8088)),
    ],
)
def test_places__page_at_an_address_that_is_ours__offered_first(
    settings: Settings, allowed: list[str], host: str, server: tuple[str, int]
) -> None:
    # Given
    settings.ALLOWED_HOSTS = allowed
    settings.SSE_PUBLIC_URLS = [PUBLIC + "/"]
    settings.SSE_SERVER_BASE_URL = PUBLIC
    # Then
    assert offered(host, server) == ([f"http://{host}", PUBLIC], None)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        (["*"], "evil.example"),
        (["*"], "localhost:8088"),
        (["*"], "10.0.0.5:9999"),
        (["*"], "10.0.0.6:8088"),
        ([".example.com"], "evil.example.com"),
        (["realtime.example.com"], "realtime.example.com:9999"),
    ],
)
def test_places__page_at_an_address_that_might_be_anybodys__withheld(
    settings: Settings, allowed: list[str], host: str
) -> None:
    # Given
    settings.ALLOWED_HOSTS = allowed
    settings.SSE_SERVER_BASE_URL = PUBLIC
    # Then
    assert offered(host, ("10.0.0.5", 8088)) == ([PUBLIC], f"http://{host}")


def test_places__page_of_another_process__only_what_the_settings_name(
    settings: Settings,
) -> None:
    # Given
    settings.ALLOWED_HOSTS = ["flagsmith.example.com"]
    settings.SSE_SERVER_BASE_URL = "no URL"
    settings.SSE_PUBLIC_URLS = [PUBLIC]
    # Then
    assert offered("flagsmith.example.com", None) == ([PUBLIC], None)
