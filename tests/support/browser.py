"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    assert path, "There is no `chromium` on the PATH."
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS
        ) as browser,
    ):
        yield browser


def note_errors(page: Page, errors: list[str]) -> None:
    """Add what goes wrong in `page` to `errors`: exceptions, and the browser's reports
    of what CORS or a Content-Security-Policy forbids."""

    def note(message: ConsoleMessage) -> None:
        # Not every server of a page has one.
        favicon = message.location["url"].endswith("/favicon.ico")
        if message.type == "error" and not favicon:
            errors.append(message.text)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", note)
