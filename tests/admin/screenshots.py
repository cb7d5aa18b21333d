"""Draw the admin's pages into docs/images: `python -m tests.admin.screenshots`."""

import asyncio
import os
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Browser, Page, StorageState

from tests.admin.fleet import (
    Fleet,
    admin_url,
    create_database,
    log_in,
    running_fleet,
)
from tests.admin.made_up_hour import ENVIRONMENTS
from tests.support.browser import chromium
from tests.support.service import ROOT
from tests.support.streams import Stream

IMAGES = ROOT / "docs" / "images"
DESKTOP = {"width": 1440, "height": 900}
LAPTOP = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}
LOOKS = {
    "light": {"color_scheme": "light", "viewport": DESKTOP},
    "dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "laptop": {"color_scheme": "light", "viewport": LAPTOP},
    "phone": {"color_scheme": "light", "viewport": PHONE},
    "phone-dark": {"color_scheme": "dark", "viewport": PHONE},
}
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/140",
    "okhttp/4.12.0",
    "python-requests/2.32.4",
    "Example/1 CFNetwork/1568.100.1 Darwin/24.0.0",
)


async def draw(fleet: Fleet) -> None:
    async with chromium() as browser, AsyncExitStack() as streams:
        page = await browser.new_page()
        await log_in(page, fleet.workers)
        login = await page.context.storage_state()
        await page.context.close()

        await draw_all(browser, fleet, login, "empty", ".verdict.well")
        for environment, count in ENVIRONMENTS.items():
            for number in range(count):
                service = fleet.services[number % 2]
                stream = Stream(
                    service.stream_url(environment),
                    headers={"User-Agent": AGENTS[number % len(AGENTS)]},
                )
                await streams.enter_async_context(stream)
        for _ in range(40):
            for environment in ENVIRONMENTS:
                await asyncio.to_thread(fleet.workers.publish, environment, now())
        await draw_all(browser, fleet, login, "healthy", ".verdict.well")
        await draw_pages(browser, fleet, login)
        victim = fleet.workers.workers()[1]
        fleet.workers.expected_errors = {"worker.died"}
        os.kill(victim, signal.SIGKILL)
        await draw_all(browser, fleet, login, "degraded", ".verdict.degraded")
        await asyncio.to_thread(fleet.nats.kill)
        await asyncio.to_thread(fleet.daphne.await_ready, False)
        for environment in ENVIRONMENTS:
            await asyncio.to_thread(fleet.daphne.publish, environment, now())
        await draw_all(browser, fleet, login, "down", ".verdict.down")


async def draw_all(
    browser: Browser, fleet: Fleet, login: StorageState, name: str, until: str
) -> None:
    for look, options in LOOKS.items():
        context = await browser.new_context(storage_state=login, **options)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(admin_url(fleet.daphne))
        await page.wait_for_selector(until)
        await picture(page, f"{name}-{look}")
        await context.close()


async def draw_pages(browser: Browser, fleet: Fleet, login: StorageState) -> None:
    context = await browser.new_context(storage_state=login, viewport=DESKTOP)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(admin_url(fleet.workers, "realtime/fleet/playground/"))
    await page.fill("#environment", "playground")
    await page.click("#subscribe")
    await page.wait_for_selector("#state:text-is('subscribed')")
    await page.check("#confirmed")
    for number in range(1, 4):
        await page.click("#publish")
        await page.wait_for_selector(f"#events tbody tr:nth-child({number})")
    await page.wait_for_selector("#outcome:has-text('instances')")
    await picture(page, "playground")
    await context.close()
    key = next(iter(ENVIRONMENTS))
    pages = {
        "environment": f"environment/?key={key}",
        "log": "log/",
        "drain": "",
    }
    for name, path in pages.items():
        for look in LOOKS if name == "environment" else ("light", "phone"):
            context = await browser.new_context(storage_state=login, **LOOKS[look])  # type: ignore[arg-type]
            page = await context.new_page()
            await page.goto(admin_url(fleet.workers, f"realtime/fleet/{path}"))
            if name == "drain":
                await page.locator(".action a[id^=drain]").first.click()
                await page.wait_for_selector("input.danger")
            await picture(page, f"{name}-{look}")
            await context.close()


def now() -> float:
    """As it would be published."""
    return round(time.time(), 3)


async def picture(page: Page, name: str) -> None:
    await page.screenshot(path=IMAGES / f"{name}.png", full_page=True)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        database = create_database(Path(folder) / "admin.sqlite3")
        with running_fleet(Path(folder), database, "tests.admin.pictured") as fleet:
            asyncio.run(draw(fleet))
            for service in fleet.services:
                service.expected_errors |= {"task.died", "update.lost"}


if __name__ == "__main__":
    main()
