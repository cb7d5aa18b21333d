"""The page about one environment in real Chromium, over a real fleet."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from realtime.fleet.key_shortening import shortened
from tests.admin.fleet import Fleet, admin_url, log_in
from tests.admin.test_browser import PHONE
from tests.support.streams import Stream, event

OKHTTP = {"User-Agent": "okhttp/4.12.0"}


async def test_my_app_did_not_get_the_change__looked_up__found_where_and_when(
    shared_fleet: Fleet, page: Page, environment: str
) -> None:
    """Is it connected, where, what kind of client, when was it last told?"""
    # Given: an Android application on one instance, which was told
    await log_in(page, shared_fleet.workers)
    async with Stream(
        shared_fleet.daphne.stream_url(environment), headers=OKHTTP
    ) as app:
        await app.next_block()
        await asyncio.to_thread(
            shared_fleet.workers.publish, environment, 1735229888.76
        )
        assert await app.next_event() == event("1735229888.76")

        # When: somebody looks its key up
        await page.fill("#find", environment)
        await page.get_by_role("button", name="Find").click()

        # Then: it is connected
        await expect(page.locator("#environment-key")).to_have_text(environment)
        await expect(page.locator("#total-subscribers")).to_have_text("1")
        # there
        rows = page.locator("#instances tbody tr")
        await expect(rows).to_have_count(3)
        there = rows.filter(has_text=f"({shared_fleet.daphne.process.pid})")
        await expect(there.locator(".subscribers")).to_have_text("1")
        # an Android application
        await expect(there).to_contain_text("1 Android (OkHttp)")
        kind = page.locator("tr[data-client=android]")
        await expect(kind).to_contain_text("never reconnects after a connection that")
        # and was told
        await expect(there).to_contain_text("1 subscriber")
        await expect(there).to_contain_text("s ago")
        await expect(page.locator("#latest-update")).to_contain_text("1735229888.76")
        update = page.locator("#updates tbody tr")
        await expect(update).to_contain_text("2024-12-26 16:18:08 UTC")
        await expect(update).to_contain_text("of 3 instances")

        # When: its row on the overview leads there as well
        await page.get_by_role("link", name="Back to the overview").click()
        await page.get_by_role("link", name=shortened(environment)).first.click()

        # Then: the whole key is there to be copied, and the next steps know it
        await expect(page.locator("#environment-key")).to_have_text(environment)
        await page.get_by_role("link", name="Send a test update").click()
        await expect(page.locator("form code")).to_have_text(environment)


async def test_key_that_nobody_knows__looked_up__asked_whether_it_is_right(
    shared_fleet: Fleet, page: Page, environment: str
) -> None:
    # Given
    await log_in(page, shared_fleet.workers)

    # When
    await page.goto(
        admin_url(
            shared_fleet.workers, f"realtime/fleet/environment/?key={environment}"
        )
    )

    # Then
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Nobody is subscribed to this environment")
    await expect(alert).to_contain_text("is the key right?")


async def test_environment__nats_away__figures_are_of_one_instance_and_say_so(
    fleet: Fleet, page: Page, environment: str
) -> None:
    # Given: all were asked a moment ago
    await log_in(page, fleet.daphne)
    await page.fill("#find", environment)
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator("#instances tbody tr")).to_have_count(3)

    # When
    await asyncio.to_thread(fleet.nats.kill)
    await asyncio.to_thread(fleet.daphne.await_ready, False)
    await page.reload()

    # Then
    await expect(page.locator(".errornote")).to_contain_text("Cannot connect to NATS")
    await expect(page.locator(".remembered")).to_contain_text("answers you only")
    await expect(page.locator("#instances tbody tr")).to_have_count(1)
    subscribers = page.locator(".totals div", has_text="Subscribers")
    await expect(subscribers).to_contain_text("this instance only")
    # and nobody is accused: neither the others nor the key
    fleet_part = page.locator("#fleet")
    await expect(fleet_part).to_contain_text("cannot be asked, last seen")
    await expect(fleet_part).not_to_contain_text("does not answer")
    await expect(fleet_part).not_to_contain_text("is the key right")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_environment__phone__nothing_to_scroll_sideways_for(
    shared_fleet: Fleet, browser: Browser, scheme: str, environment: str
) -> None:
    # Given
    key = f"{environment}.{'production-' * 6}eu"
    context = await browser.new_context(
        viewport=PHONE,
        color_scheme=scheme,  # type: ignore[arg-type]  # one of its literals
    )
    page = await context.new_page()
    await log_in(page, shared_fleet.workers)
    async with Stream(shared_fleet.daphne.stream_url(key), headers=OKHTTP) as app:
        await app.next_block()
        await asyncio.to_thread(shared_fleet.workers.publish, key, 1735229888.76)
        await app.next_event()

        # When
        await page.goto(
            admin_url(shared_fleet.workers, f"realtime/fleet/environment/?key={key}")
        )

        # Then
        await expect(page.locator("#total-subscribers")).to_have_text("1")
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]
