"""From a shortened key on the overview to the page about its environment."""

import asyncio

import pytest
import requests
from playwright.async_api import Browser, expect

from realtime.exceptions import NatsUnavailable
from realtime.fleet.environment.key_lookup import find_keys
from realtime.updates import Update
from tests.admin.fleet import PASSWORD, Fleet, admin_session, admin_url, log_in
from tests.admin.test_own_service import NOWHERE, hosted
from tests.support.browser import note_errors
from tests.support.nats import NatsServer
from tests.support.streams import Stream
from tests.support.waiting import eventually_async

SOON = 10_000


def short(key: str) -> str:
    return f"{key[:6]}…{key[-4:]}"


async def test_overview__key_followed__whole_page_of_the_busiest_environment(
    shared_fleet: Fleet, browser: Browser, environment: str
) -> None:
    # Given
    page = await browser.new_page()
    errors: list[str] = []
    note_errors(page, errors)
    async with Stream(shared_fleet.daphne.stream_url(environment)) as stream:
        await stream.next_block()
        await asyncio.to_thread(shared_fleet.workers.publish, environment, 1)
        await log_in(page, shared_fleet.workers)
        row = page.locator(".environments tr", has_text=short(environment))

        # Then: how many, and when it was updated
        await expect(row).to_contain_text("s ago", timeout=SOON)
        await expect(row.locator("td").first).to_have_text("1")
        assert environment not in await page.content()

        # When
        await row.get_by_role("link", name=short(environment), exact=True).click()

        # Then
        await expect(page.locator("#environment-key")).to_have_text(environment)
        await expect(page.locator("#total-subscribers")).to_have_text("1")

        # When: the other links
        await page.goto(admin_url(shared_fleet.workers))
        await row.get_by_role("link", name="Test update").click()

        # Then
        await expect(page.locator("#content")).to_contain_text(
            f"an update of the environment {environment}, dated now"
        )
        await page.goto(admin_url(shared_fleet.workers))
        await row.get_by_role("link", name="Playground").click()
        assert await page.input_value("#environment") == environment

        # When: by the field
        await page.goto(admin_url(shared_fleet.workers))
        await page.fill("#find", environment)
        await page.keyboard.press("Enter")
        await expect(page.locator("#environment-key")).to_have_text(environment)
    assert not errors


async def test_environment__followed_by_who_may_only_view__never_the_whole_key(
    shared_fleet: Fleet, environment: str
) -> None:
    # Given
    session = await asyncio.to_thread(
        admin_session, shared_fleet.daphne.url, "viewer", PASSWORD
    )

    def get(path: str, **query: str) -> requests.Response:
        return session.get(
            admin_url(shared_fleet.daphne, path), params=query, timeout=5
        )

    async with Stream(shared_fleet.workers.stream_url(environment)) as stream:
        await stream.next_block()

        # When
        pages = [
            await asyncio.to_thread(get, f"realtime/fleet/{path}", **query)
            for path, query in (
                ("", {}),
                ("report.json", {}),
                ("environment/", {"key": short(environment)}),
                ("playground/", {"environment": short(environment)}),
            )
        ]
        unknown = await asyncio.to_thread(
            get, "realtime/fleet/environment/", key="abcdef…wxyz"
        )

    # Then
    for page in pages:
        assert page.status_code == 200
        assert environment not in page.text
    assert short(environment) in pages[2].text
    assert 'id="total-subscribers">1<' in pages[2].text
    assert unknown.status_code == 404
    assert "No instance knows abcdef…wxyz any more" in unknown.text


async def test_find_keys__two_that_look_alike__both(
    nats: NatsServer, environment: str
) -> None:
    # Given
    alike = f"{environment[:6]}-another-{environment[-4:]}"
    async with hosted(nats.url) as service:
        for key in (environment, alike, "short"):
            await service.bridge.publish(
                Update(key, "1"), asyncio.get_running_loop().time() + 5
            )
        await eventually_async(
            lambda: service.hub.latest.of("short") is not None,
            what="the last to be read",
        )

        # When
        found = await find_keys(NOWHERE, short(environment), service.agent)
        none = await find_keys(NOWHERE, "abcdef…wxyz", service.agent)

    # Then
    assert found == sorted([environment, alike])
    assert none == []


async def test_find_keys__no_nats__unavailable() -> None:
    with pytest.raises(NatsUnavailable):
        await find_keys(NOWHERE, "abcdef…wxyz")
