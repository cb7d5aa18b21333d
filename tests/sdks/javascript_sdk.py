"""The real JavaScript SDK, in a page in Chromium. The page, the Flagsmith API and the
real-time service are of three different origins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Page

from tests.sdks.flagsmith_api import FlagsmithApi
from tests.sdks.loopback import Handler, served
from tests.support.browser import chromium, note_errors
from tests.support.service import Service

FOLDER = Path(__file__).parent
PAGE = FOLDER / "page.html"
BUNDLE = FOLDER / "node_modules" / "flagsmith" / "index.js"


class PageHandler(Handler):
    def do_GET(self) -> None:
        if self.path == "/flagsmith.js":
            self.answer(200, BUNDLE.read_bytes(), Content_Type="text/javascript")
        else:
            self.answer(200, PAGE.read_bytes(), Content_Type="text/html")


class JavaScriptClient:
    def __init__(self, page: Page) -> None:
        self._page = page

    async def colour(self) -> str | None:
        return await self._page.text_content("#colour") or None


@asynccontextmanager
async def javascript_client(
    service: Service, api: FlagsmithApi
) -> AsyncIterator[JavaScriptClient]:
    assert BUNDLE.is_file(), "There is no JavaScript SDK: run `npm ci` in tests/sdks."
    errors: list[str] = []
    query = urlencode(
        {
            "environmentID": api.environment,
            "api": api.url,
            "eventSourceUrl": f"{service.url}/",
        }
    )
    with served(PageHandler) as url:
        async with chromium() as browser:
            page = await browser.new_page()
            note_errors(page, errors)
            try:
                async with page.expect_response(service.stream_url(api.environment)):
                    await page.goto(f"{url}/?{query}")
                yield JavaScriptClient(page)
            finally:
                assert not errors
