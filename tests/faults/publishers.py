"""Publishers: one task after the other, as Flagsmith's task processor runs them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random

from tests.faults.entries import Published
from tests.faults.ledger import Ledger
from tests.faults.numbers import updated_at
from tests.support.task_processor import Answer, TaskProcessor


class Publisher:
    """Publishes to `environments`, all of them in one task, every `interval` seconds
    give or take half, and enters it into the ledger. `urls` has the address of the
    service that the balancer takes next."""

    def __init__(
        self,
        ledger: Ledger,
        environments: Sequence[str],
        urls: Iterator[str],
        interval: float,
        rng: Random,
    ) -> None:
        self.environments = environments
        self._updates = {
            environment: ledger.published.setdefault(environment, [])
            for environment in environments
        }
        self._processor = TaskProcessor(urls, self._enter)
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

    async def publish(self) -> None:
        """One task."""
        async with self._busy:
            dates = {}
            for environment, updates in self._updates.items():
                updates.append(Published(len(updates) + 1))
                dates[environment] = updated_at(environment, len(updates))
            self._processor.answers.clear()
            told = await self._processor.run_task(dates)
            now = asyncio.get_running_loop().time()
            for updates in self._updates.values():
                updates[-1].ended = now
                if not told:
                    updates[-1].blocked = self._processor.answers[-1]

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

    def _enter(self, answer: Answer) -> None:
        self._updates[answer.environment][-1].tries.append(answer)
