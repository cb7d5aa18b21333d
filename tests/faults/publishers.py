"""Publishers: one for each environment, one update after the other, as Flagsmith's task
processor sends them."""

import asyncio
from contextlib import suppress
from random import Random
from urllib.parse import urlsplit

from tests.faults.ledger import LATE_SECONDS, Ledger, Published
from tests.faults.numbers import updated_at
from tests.support.service import TOKEN

GIVE_UP_SECONDS = LATE_SECONDS + 2


class Publisher:
    """Publishes to `environment`, whose queue-change endpoint is `url`, every
    `interval` seconds give or take half, and enters it into the ledger."""

    def __init__(
        self, ledger: Ledger, environment: str, url: str, interval: float, rng: Random
    ) -> None:
        self._environment = environment
        self._updates = ledger.published.setdefault(environment, [])
        self._url = urlsplit(url)
        self._interval = interval
        self._rng = rng
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._hurry = asyncio.Event()
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            interval = self._interval * self._rng.uniform(0.5, 1.5)
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._hurry.wait()
            self._hurry.clear()
            await self._allowed.wait()
            await self.publish()

    async def publish(self) -> Published:
        """One update and its answer."""
        async with self._busy:
            loop = asyncio.get_running_loop()
            update = Published(len(self._updates) + 1, loop.time())
            self._updates.append(update)
            # Without an answer its status stays 0.
            with suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(GIVE_UP_SECONDS):
                    update.status, update.body = await self._post(update.number)
            update.answered = loop.time()
            return update

    def hurry(self) -> None:
        """Publish the next update now."""
        self._hurry.set()

    async def pause(self) -> None:
        """Publish nothing more; returns when nothing is on its way."""
        self._allowed.clear()
        async with self._busy:
            pass

    def resume(self) -> None:
        self._allowed.set()

    async def _post(self, number: int) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(
            self._url.hostname, self._url.port
        )
        try:
            body = b'{"updated_at":%d}' % updated_at(self._environment, number)
            writer.write(
                f"POST {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n"
                f"Authorization: Token {TOKEN}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            return int(head.split(b" ", 2)[1]), await reader.read()
        finally:
            writer.close()
