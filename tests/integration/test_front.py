"""What somebody gets who comes to the service's address itself."""

from pathlib import Path

import pytest
import requests

from tests.support.browser import chromium
from tests.support.service import Service, running_service

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
REVEALING = ("127.0.0.1", "0.1.0", "django", "daphne", "uvicorn", "python")


def get(service: Service, path: str, accept: str = BROWSER) -> requests.Response:
    return requests.get(f"{service.url}{path}", headers={"Accept": accept}, timeout=5)


def test_index__browser__page_says_what_this_is_and_nothing_of_the_installation(
    service: Service,
) -> None:
    # When
    answer = get(service, "/")

    # Then
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Flagsmith real-time updates" in answer.text
    assert "The service is ready." in answer.text
    assert "/admin/" not in answer.text
    assert not [word for word in REVEALING if word in answer.text.lower()]
    assert len(answer.content) < 4096
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_index__json_asked_for__the_same_for_machines(service: Service) -> None:
    # When
    answer = get(service, "/", "application/json")

    # Then
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["status"] == "ok"
    assert answer.json()["links"]["readiness"] == "/readyz"
    assert "admin" not in answer.json()["links"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/favicon.ico", "image/x-icon"),
        ("/favicon.svg", "image/svg+xml"),
        ("/robots.txt", "text/plain; charset=utf-8"),
    ],
)
def test_front__head__as_get_without_the_body(
    service: Service, path: str, kind: str
) -> None:
    # When
    with requests.Session() as session:
        head = session.head(f"{service.url}{path}", timeout=5)
        got = session.get(f"{service.url}{path}", timeout=5)

    # Then
    assert (head.status_code, got.status_code) == (200, 200)
    assert head.headers["Content-Type"] == got.headers["Content-Type"] == kind
    assert head.headers["Content-Length"] == str(len(got.content))
    assert head.content == b""


def test_robots__asked__nothing_is_for_them(service: Service) -> None:
    assert get(service, "/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_not_found__browser__page_in_the_same_look(service: Service) -> None:
    # When
    answer = get(service, "/nothing-here")

    # Then
    assert answer.status_code == 404
    assert "<h1>" in answer.text
    assert "Not found" in answer.text
    assert "nothing-here" not in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/event-stream"])
def test_not_found__anybody_else__json(service: Service, accept: str) -> None:
    # When
    answer = get(service, "/nothing-here", accept)

    # Then
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not found."}


@pytest.mark.parametrize("path", ["/sse/nothing", "/sse/environments/a..b/stream"])
def test_not_found__of_the_endpoints_by_a_browser__stays_theirs(
    service: Service, path: str
) -> None:
    # When
    answer = get(service, path)

    # Then
    assert answer.status_code == 404
    assert answer.text == '{"detail":"Not found."}'


def test_index__nats_away__says_that_it_is_not_ready(tmp_path: Path) -> None:
    # Given
    with running_service("serve", "nats://127.0.0.1:1", tmp_path) as service:
        # When
        page, machine = get(service, "/"), get(service, "/", "application/json")

    # Then
    assert page.status_code == machine.status_code == 200
    assert "The service is not ready" in page.text
    assert machine.json()["status"] == "unavailable"


def test_index__disabled__nothing_says_what_is_here(tmp_path: Path) -> None:
    # Given
    with running_service(
        "serve", "nats://127.0.0.1:1", tmp_path, SSE_INDEX_ENABLED="false"
    ) as service:
        # When
        paths = ("/", "/favicon.ico", "/favicon.svg", "/nothing-here")
        answers = [get(service, path) for path in paths]
        robots = get(service, "/robots.txt")

    # Then
    assert [answer.status_code for answer in answers] == [404] * 4
    assert {answer.text for answer in answers} == {'{"detail": "Not found."}'}
    assert robots.status_code == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_index__in_a_browser__styled_readable_and_without_an_error(
    service: Service, scheme: str
) -> None:
    # Given
    errors: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page(
            viewport={"width": 390, "height": 700},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page.on("console", lambda message: errors.append(message.text))
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))

        # When
        await page.goto(service.url)
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        width = await page.evaluate("document.documentElement.scrollWidth")
        icon = await page.evaluate("document.images[0].naturalWidth")

    # Then
    assert errors == []
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 31)"}[scheme]
    assert width == 390
    assert icon > 0
    assert all(url.startswith(service.url) for url in requested)
