"""An upgrade, rehearsed: a stream that an older deployment made, a hundred connected
clients, updates all the time, and a new version that takes over; and back. Nothing is
lost."""

import asyncio
import itertools
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import nats
import pytest
import requests
from nats.js import api

from realtime import __version__
from tests.support.followers import Subscriber, acknowledged
from tests.support.fresh import fresh_copy
from tests.support.nats import NatsServer
from tests.support.service import ROOT, Service, running_service
from tests.support.waiting import eventually

CLIENTS = 100
ENVIRONMENTS = 5
NEW_VERSION = "999.0.0"
OLD_STREAM = api.StreamConfig(
    # What Flagsmith's documentation says of the beta's, and no more.
    name="environments-stream",
    subjects=["flagsmith.environment.>"],
    max_msgs_per_subject=1,
    max_age=3600,
    description="made by an older deployment",
)


class Rehearsal:
    """`CLIENTS` subscribers, and a publisher that goes on all the time."""

    def __init__(self, environment: str) -> None:
        self.environments = [f"{environment}-{n}" for n in range(ENVIRONMENTS)]
        self.stored = dict.fromkeys(self.environments, -1)
        """The last update of each that was answered with 202."""
        self.refused = 0
        self.subscribers: list[Subscriber] = []
        self.publish_to: Service | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = itertools.count(1000)

    def connect(self, *services: Service) -> None:
        """Spread the subscribers over `services`, until the end."""
        for number in range(CLIENTS):
            subscriber = Subscriber(
                services[number % len(services)],
                self.environments[number % ENVIRONMENTS],
            )
            self.subscribers.append(subscriber)
            self._tasks.append(asyncio.create_task(subscriber.run()))

    async def publish_all_the_time(self, service: Service) -> None:
        """Begin; returns when everyone has been told of something."""
        self.publish_to = service
        for key in self.environments:
            await self.publish(key)
        await self.everyone_informed()
        self._tasks.append(asyncio.create_task(self._publish()))

    async def _publish(self) -> None:
        for key in itertools.cycle(self.environments):
            await self.publish(key)
            await asyncio.sleep(0.02)

    async def publish(self, key: str) -> None:
        assert self.publish_to is not None
        number = next(self._numbers)
        if await acknowledged(self.publish_to, key, number):
            self.stored[key] = number
        else:
            self.refused += 1

    async def everyone_informed(self) -> None:
        """Wait until each has seen its environment's last update, or a later one."""

        def informed() -> bool:
            return all(s.last >= self.stored[s.environment] for s in self.subscribers)

        await asyncio.to_thread(eventually, informed, seconds=30, what="the latest")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def rehearsal(environment: str) -> AsyncIterator[Rehearsal]:
    made = Rehearsal(environment)
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def old_stream(nats: NatsServer, environment: str) -> NatsServer:
    """A NATS with an older deployment's stream, and an update in it."""
    await make_old_stream(nats.url, f"{environment}-0")
    return nats


async def make_old_stream(url: str, key: str) -> None:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await jetstream.add_stream(OLD_STREAM)
    await jetstream.publish(f"flagsmith.environment.{key}", b'{"updated_at":7}')
    await client.close()


def old_version(folder: Path) -> Path:
    """A copy of the service, to be upgraded in place."""
    return fresh_copy(folder / "installed")


def upgrade(folder: Path) -> None:
    """Install the new version over the old one."""
    module = folder / "realtime" / "__init__.py"
    text = module.read_text()
    assert f'"{__version__}"' in text
    module.write_text(text.replace(f'"{__version__}"', f'"{NEW_VERSION}"'))


def versions(service: Service) -> set[str]:
    """Those of its workers, as `/metricsz` tells."""
    text = requests.get(f"{service.url}/metricsz", timeout=5).text
    found = re.findall(r'^flagsmith_sse_build_info\{version="(.*)"\} 1', text, re.M)
    return set(found)


async def test_sighup__new_version_installed_over_the_old__nothing_lost(
    old_stream: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    installed = old_version(tmp_path)
    with running_service(
        "workers", old_stream.url, tmp_path, cwd=str(installed)
    ) as service:
        service.await_ready()
        assert versions(service) == {__version__}
        async with rehearsal(environment) as clients:
            clients.stored[clients.environments[0]] = 7
            clients.connect(service)
            # What was published to the older deployment is there.
            await clients.everyone_informed()
            await clients.publish_all_the_time(service)
            before = service.workers()

            # When
            upgrade(installed)
            service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(service.await_logged, "workers.replaced")
            await clients.everyone_informed()
            await clients.stop()

            # Then
            assert not set(service.workers()) & set(before)
            assert NEW_VERSION in versions(service)
            assert clients.refused == 0
            assert all(s.connections >= 2 for s in clients.subscribers)
            assert all(s.in_order for s in clients.subscribers)
    config = old_stream.stream()["config"]
    assert config["description"] == OLD_STREAM.description
    assert config["duplicate_window"] == 120 * 10**9


@pytest.mark.parametrize(
    ("before", "after"),
    [(__version__, NEW_VERSION), (NEW_VERSION, __version__)],
    ids=["upgrade", "rollback"],
)
async def test_side_by_side__instances_replaced_one_by_one__nothing_lost(
    old_stream: NatsServer, tmp_path: Path, environment: str, before: str, after: str
) -> None:
    # Given: two instances of the version before, each with half of the clients
    new = old_version(tmp_path)
    upgrade(new)
    installed = {__version__: str(ROOT), NEW_VERSION: str(new)}
    async with AsyncExitStack() as stack, rehearsal(environment) as clients:
        old = [
            stack.enter_context(
                running_service(
                    "serve", old_stream.url, tmp_path, cwd=installed[before]
                )
            )
            for _ in range(2)
        ]
        for service in old:
            service.await_ready()
            assert versions(service) == {before}
        clients.connect(*old)
        await clients.publish_all_the_time(old[0])

        for service in reversed(old):
            # When
            replacement = stack.enter_context(
                running_service("serve", old_stream.url, tmp_path, cwd=installed[after])
            )
            replacement.await_ready()
            clients.publish_to = replacement
            for subscriber in clients.subscribers:
                subscriber.move(service, replacement)
            assert await asyncio.to_thread(service.stop) == 0

            # Then
            await clients.everyone_informed()
            assert versions(replacement) == {after}
        assert clients.refused == 0
        assert all(s.connections == 2 for s in clients.subscribers)
        assert all(s.in_order for s in clients.subscribers)
        await clients.stop()
