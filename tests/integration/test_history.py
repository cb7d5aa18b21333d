"""The last hour of a real `serve --workers 2`, whose workers are replaced and killed,
with minutes that are over in a second."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.conf import RealtimeSettings
from realtime.fleet.history.fleet_history import FleetHistory, merge
from realtime.fleet.history.minutes import HISTORY, History
from realtime.fleet.survey import Survey, survey
from tests.support.crowd import crowd
from tests.support.nats import NatsServer
from tests.support.service import TOKEN, Service, running_service

STREAMS = 20
"""Enough to have some on each of two workers: all but one time in 500,000."""

SECONDS = 1.0
"""Of a minute."""

WAIT_SECONDS = 20


class Watcher:
    """Asks for the fleet's hour all the time, and sees whether a sum falls."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self.fallen: list[tuple[dict[str, int], dict[str, int]]] = []
        self._last: dict[str, int] = {}

    async def ask(self) -> dict[str, int]:
        """The sums over the hour, where all instances have told."""
        while True:
            told = await self._survey.ask_everybody(HISTORY, History)
            alive = max((one.alive for one in told), default=0)
            if len({one.instance for one in told}) >= alive > 0:
                break
        history = await merge(told, time.time(), complete=True, seconds=SECONDS)
        sums = sums_of(history)
        if any(sums[name] < value for name, value in self._last.items()):
            self.fallen.append((self._last, sums))
        self._last = sums
        return sums

    async def until(self, **wanted: int) -> None:
        """Ask until the sums are as `wanted`."""
        sums: dict[str, int] = {}
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not wanted.items() <= sums.items():
                    sums = await self.ask()
        except TimeoutError:
            pytest.fail(f"wanted {wanted}, have {sums}")

    async def watch(self) -> None:
        while True:
            await self.ask()


def sums_of(history: FleetHistory) -> dict[str, int]:
    return {
        "opened": sum(filter(None, history.opened)),
        "closed": sum(filter(None, history.closed)),
        "deliveries": sum(filter(None, history.deliveries)),
        **{
            kind: sum(filter(None, series))
            for kind, series in history.publishes.items()
        },
    }


@asynccontextmanager
async def watching(service: Service, nats: NatsServer) -> AsyncIterator[Watcher]:
    """Watches once both workers answer."""
    settings = RealtimeSettings(
        authentication_tokens=(TOKEN,), nats_servers=(nats.url,)
    )
    await asyncio.to_thread(service.await_logged, "nats.connected", 2)
    async with survey(settings) as asking:
        yield Watcher(asking)


@pytest.fixture
def short_lived(nats: NatsServer, tmp_path: Path) -> Iterator[Service]:
    """Two workers whose minutes are short."""
    with running_service(
        *("workers", nats.url, tmp_path),
        DJANGO_SETTINGS_MODULE="tests.support.short_minutes",
        MINUTE_SECONDS=str(SECONDS),
    ) as service:
        yield service


async def test_sighup__workers_replaced__sums_of_the_hour_are_exact_and_never_fall(
    short_lived: Service, nats: NatsServer, environment: str
) -> None:
    async with watching(short_lived, nats) as watcher:
        # Given
        async with crowd(short_lived, environment, STREAMS) as members:
            await asyncio.to_thread(short_lived.publish, environment, 1)
            await asyncio.to_thread(short_lived.publish, environment, 2, "wrong")
            await watcher.until(
                opened=STREAMS, deliveries=STREAMS, stored=1, unauthorized=1
            )

            # When
            watch = asyncio.create_task(watcher.watch())
            short_lived.process.send_signal(signal.SIGHUP)
            assert all(await asyncio.gather(*(m.ended_properly() for m in members)))
            await asyncio.to_thread(short_lived.await_logged, "workers.replaced")
            watch.cancel()
            await asyncio.wait([watch])
            assert watch.cancelled()

        # Then
        await watcher.until(
            opened=STREAMS,
            closed=STREAMS,
            deliveries=STREAMS,
            stored=1,
            unauthorized=1,
        )
        assert not watcher.fallen


async def test_kill__a_worker__what_it_counted_is_told_by_the_others(
    short_lived: Service, nats: NatsServer, environment: str
) -> None:
    short_lived.expected_errors = {"worker.died"}
    async with (
        watching(short_lived, nats) as watcher,
        crowd(short_lived, environment, STREAMS),
    ):
        # Given
        await asyncio.to_thread(short_lived.publish, environment, 1)
        await watcher.until(opened=STREAMS, deliveries=STREAMS, stored=1)

        # When
        watch = asyncio.create_task(watcher.watch())
        for worker in short_lived.workers():
            os.kill(worker, signal.SIGKILL)
            times = len(short_lived.events("nats.connected")) + 1
            await asyncio.to_thread(short_lived.await_logged, "nats.connected", times)
        watch.cancel()
        await asyncio.wait([watch])
        assert watch.cancelled()

        # Then
        await watcher.until(opened=STREAMS, deliveries=STREAMS, stored=1)
        assert not watcher.fallen
