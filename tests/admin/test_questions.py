"""What operators ask, answered by the overview in real Chromium: one question a test.

The others have tests of their own: "my app did not get the flag change" in
test_environment_page.py, "does it work right now" in test_probe.py, "publishing gets
401" in test_publishes.py, "what was lost while NATS was away" in
test_happenings_pages.py.
"""

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Page, expect

from realtime import __version__
from realtime.fleet.key_shortening import shortened
from tests.admin.fleet import Fleet, admin_variables, log_in
from tests.support.nats import NatsServer
from tests.support.service import Service, running_service
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.streams import Stream

SOON = 10_000
"""Milliseconds: the page asks every two seconds."""

THREE = re.compile("^Subscribers in the last hour: .*3")
GROWN = re.compile("^Subscribers in the last hour: between [0-3] and 7, now 7")
"""What a line says to who does not see it."""


async def subscribe(
    streams: AsyncExitStack, service: Service, key: str, count: int, agent: str = "x"
) -> None:
    for _ in range(count):
        stream = Stream(service.stream_url(key), headers={"User-Agent": agent})
        await streams.enter_async_context(stream)
        await stream.next_block()


async def test_which_environments_are_busiest__looked_at__sums_and_their_last_hour(
    nats: NatsServer, tmp_path: Path, admin_database: Path, page: Page
) -> None:
    """Which environments are busiest, how has that changed?"""
    # Given: more environments than the page lists, in minutes that are short
    keys = [f"QuietEnvironment{number:02}x" for number in range(11)]
    busiest = "BusiestEnvironment-01x"
    with running_service(
        "workers",
        nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.short_minutes",
        MINUTE_SECONDS="1",
        **admin_variables(admin_database),
    ) as service:
        service.await_ready()
        async with AsyncExitStack() as streams:
            for key in keys:
                await subscribe(streams, service, key, 1)
            await subscribe(streams, service, busiest, 3)

            # When
            await log_in(page, service)

            # Then
            rows = page.locator(".environments tbody tr")
            await expect(rows).to_have_count(10)
            first = rows.first
            await expect(first).to_contain_text(shortened(busiest))
            await expect(first.locator("td").first).to_have_text("3")
            hour = first.locator("svg.sparkline")
            await expect(hour).to_have_attribute("aria-label", THREE, timeout=SOON)

            # When
            await subscribe(streams, service, busiest, 4)

            # Then
            await expect(first.locator("td").first).to_have_text("7", timeout=SOON)
            await expect(hour).to_have_attribute("aria-label", GROWN, timeout=SOON)


async def test_all_on_the_new_version_and_balanced__looked_at__in_one_sentence(
    fleet: Fleet, page: Page, environment: str
) -> None:
    """Are all on the new version, are the streams balanced?"""
    # Given
    async with AsyncExitStack() as streams:
        await subscribe(streams, fleet.daphne, environment, 2)

        # When
        await log_in(page, fleet.workers)

        # Then
        summary = page.locator("#summary")
        await expect(summary).to_contain_text(f"All on version {__version__}; streams:")

        # When: a new one takes nearly all
        newer = made_up(version="99.0.0", subscribers=498)
        with simulated_fleet(fleet.settings, newer, others=3):
            # Then
            await expect(summary).to_have_text(
                "1 of 4 on version 99.0.0; streams are not balanced: 0 to 498 each.",
                timeout=SOON,
            )
            await expect(page.locator(".instances .warning")).to_have_count(3)
            bar = page.locator(f'[data-instance="{newer.instance}"] .bar rect')
            await expect(bar).to_have_attribute("width", "1000")


async def test_publishing_gets_503__looked_at_while_nats_is_away__reason_and_address(
    nats: NatsServer,
    tmp_path: Path,
    admin_database: Path,
    page: Page,
    environment: str,
) -> None:
    """Publishing gets 503: why?"""
    # Given: all was well when the page was opened
    with running_service(
        "serve",
        nats.url,
        tmp_path,
        SSE_ACCEPT_WITHOUT_NATS="false",
        **admin_variables(admin_database),
    ) as service:
        service.await_ready()
        service.publish(environment, 1)
        await log_in(page, service)
        await expect(page.locator("#publishes")).to_contain_text("1 × 202")

        # When
        await asyncio.to_thread(nats.kill)
        await asyncio.to_thread(service.await_ready, False)
        answer = await asyncio.to_thread(service.publish, environment, 2)
        assert answer.status_code == 503

        # Then: why, and what it means
        verdict = page.locator(".verdict")
        await expect(verdict).to_contain_text("Cannot connect to NATS", timeout=SOON)
        await expect(verdict).to_contain_text("Applications keep the flags")
        # the figures of before are not all there is
        now = page.locator("#publishes-now")
        await expect(now).to_contain_text("of this instance only", timeout=SOON)
        await expect(now).to_contain_text("1 × 202, 1 × 503", timeout=SOON)
        await expect(now).to_contain_text("from 127.0.0.1: NATS is not connected.")
        happened = page.locator(".happenings")
        await expect(happened).to_contain_text("what this instance has seen")

        # The update that was refused is kept, and stored.
        await asyncio.to_thread(nats.start)
        await asyncio.to_thread(service.await_ready)
        await expect(verdict).to_contain_text("1 instance serves", timeout=30_000)
        await expect(now).to_have_count(0)


async def test_who_floods_us_and_which_sdks__looked_at__clients_by_kind(
    fleet: Fleet, page: Page, environment: str
) -> None:
    """Which SDKs are in use, and which kind of client floods us?"""
    # Given
    async with AsyncExitStack() as streams:
        for service, count, agent in (
            (fleet.workers, 12, "python-requests/2.32.4"),
            (fleet.daphne, 8, "python-requests/2.32.4"),
            (fleet.daphne, 2, "okhttp/4.12.0"),
            (fleet.workers, 1, "flagsmith-go-sdk/4.2.0"),
        ):
            await subscribe(streams, service, environment, count, agent)

        # When
        await log_in(page, fleet.daphne)

        # Then: the most frequent first, summed over the instances
        kinds = page.locator(".kinds tbody tr")
        await expect(kinds.locator("summary")).to_have_text(
            ["Python", "Android (OkHttp)", "Go"]
        )
        await expect(kinds.locator(".load")).to_have_text(["20", "2", "1"])
        note = kinds.first.locator("details p")
        await expect(note).to_be_hidden()

        # When
        await kinds.first.locator("summary").click()

        # Then: what to know of it, which the next refresh leaves open
        await expect(note).to_contain_text("retries a rejected stream at once")
        as_of = page.locator("#as-of")
        before = await as_of.inner_text()
        await expect(as_of).not_to_have_text(before, timeout=SOON)
        await expect(note).to_be_visible()
