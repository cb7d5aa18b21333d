"""Everything that runs while the faults are injected: NATS, the services, the
publishers and the subscribers, and the ledger."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from random import Random

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from tests.faults.cluster import Cluster
from tests.faults.entries import Account, Published, Violation
from tests.faults.instances import Instance
from tests.faults.lag import Lag
from tests.faults.ledger import Ledger
from tests.faults.levels import Levels, measure, settle
from tests.faults.numbers import number_of
from tests.faults.publishers import Publisher
from tests.faults.subscribers import SdkSubscriber
from tests.support.nats import NatsServer
from tests.support.proxy import Proxy

BUSY, QUIET = 0.2, 8.0
"""Seconds between two updates of a busy environment and of a quiet one: what is lost
there no later update makes up for."""

ENVIRONMENTS = 18

PROJECT, PROJECT_INTERVAL = 50, 3.0
"""Environments of the project that is changed as a whole, and seconds between two
changes."""

ON_DISK = "workers"

CATCH_UP_SECONDS = 15.0
GIVE_UP_SECONDS = 60.0


class Stand:
    """`nodes` are the nats-servers; `proxy`, if there is one, is what the first of
    `instances` reaches NATS through; `cluster` is what the nodes form, if they do."""

    def __init__(
        self,
        nodes: Sequence[NatsServer],
        instances: Sequence[Instance],
        rng: Random,
        *,
        proxy: Proxy | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self.nodes = nodes
        self.instances = instances
        self.proxy = proxy
        self.cluster = cluster
        self._loop = asyncio.get_running_loop()
        lag = Lag()
        self.ledger = Ledger(lag.within)
        self._tasks = [self._loop.create_task(lag.watch())]
        # A balancer that knows nothing of readiness.
        self._urls = cycle([instance.service.url for instance in instances])
        self.publishers: list[Publisher] = []
        for number in range(ENVIRONMENTS):
            interval = BUSY if number % 5 == 0 else QUIET
            self._publish([f"environment-{number}"], interval, rng)
        project = [f"project-{number}" for number in range(PROJECT)]
        self._publish(project, PROJECT_INTERVAL, rng)
        for environment in self.ledger.published:
            for instance in instances:
                account = Account(instance.server, environment)
                self.ledger.accounts.append(account)
                url = instance.service.stream_url(environment)
                subscriber = SdkSubscriber(account, url, Random(rng.random()))
                self._tasks.append(self._loop.create_task(subscriber.run()))
        self._publishing = [
            self._loop.create_task(publisher.run()) for publisher in self.publishers
        ]
        self._before: dict[Instance, Levels] = {}

    def _publish(self, environments: list[str], interval: float, rng: Random) -> None:
        turn = Random(rng.random())
        self.publishers.append(
            Publisher(self.ledger, environments, self._urls, interval, turn)
        )

    def now(self) -> float:
        return self._loop.time()

    async def until(
        self, probe: Callable[[], bool], what: str, seconds: float = GIVE_UP_SECONDS
    ) -> None:
        """Wait until `probe()` is true of this process; fails after `seconds`."""
        deadline = self.now() + seconds
        while not probe():
            assert self.now() < deadline, f"waited {seconds:.0f} s for {what}"
            await asyncio.sleep(0.02)

    async def begin(self) -> None:
        """Wait until everybody is served, and note the levels."""
        await self.served()
        await self.quiet()
        for instance in self.instances:
            self._before[instance] = await asyncio.to_thread(measure, instance)
        self.resume()

    async def caught_up(self) -> None:
        """Wait until everything is ready, every subscriber connected, and has seen the
        last update that is owed to it: while nothing is published, because a later
        update would hide that one was lost.

        What is lost is not waited for longer than a while: the ledger tells.
        """
        await self.ready()
        await self.quiet()
        with suppress(AssertionError):
            await self.until(
                lambda: not self.ledger.behind(), "what is lost", CATCH_UP_SECONDS
            )
        self.resume()

    async def ready(self) -> None:
        """Wait until everything is ready and every subscriber connected."""
        await asyncio.gather(
            *(
                asyncio.to_thread(instance.service.await_ready, seconds=GIVE_UP_SECONDS)
                for instance in self.instances
            )
        )
        await self.until(
            lambda: all(account.connected for account in self.ledger.accounts),
            "all subscribers to be connected",
        )

    async def served(self) -> None:
        """Wait until everything is ready, every subscriber connected, and an update of
        every environment was stored and seen by all of them."""
        await self.ready()
        began = self.now()
        self.hurry()
        waiting = set(self.ledger.published)

        def told() -> bool:
            for environment in list(waiting):
                due = self.stored_since(environment, began)
                if due is None:
                    # Refused: it must not wait for its turn.
                    updates = self.ledger.published[environment]
                    if updates and updates[-1].ended < self.now() - BUSY:
                        self.hurry(environment)
                elif all(
                    account.last_seen >= due.number
                    for account in self.ledger.accounts
                    if account.environment == environment
                ):
                    waiting.discard(environment)
            return not waiting

        await self.until(told, f"updates of {waiting}")

    def hurry(self, environment: str | None = None) -> None:
        """Publish the next update now, of `environment` or of all."""
        for publisher in self.publishers:
            if environment in (None, *publisher.environments):
                publisher.hurry()

    def stored_since(self, environment: str, moment: float) -> Published | None:
        """The last update of `environment` that was sent since then and stored."""
        for update in reversed(self.ledger.published[environment]):
            if update.tries and update.sent < moment:
                return None
            if update.stored_at is not None:
                return update
        return None

    async def quiet(self) -> None:
        """Stop publishing; returns when nothing is on its way."""
        await asyncio.gather(*(publisher.pause() for publisher in self.publishers))

    def resume(self) -> None:
        for publisher in self.publishers:
            publisher.resume()

    async def in_step(self) -> None:
        """Wait until every replica of a cluster's stream is up to date: what a rolling
        restart waits for before each node, and without which two faults are one."""
        deadline = self.now() + GIVE_UP_SECONDS
        while self.cluster is not None:
            client = await self.client()
            try:
                info = await client.jetstream().stream_info("environments-stream")
                replicas = info.cluster.replicas if info.cluster else None
            except (nats.errors.Error, TimeoutError):  # there is no leader yet
                replicas = None
            finally:
                await client.close()
            if replicas and all(r.current and not r.offline for r in replicas):
                return
            assert self.now() < deadline, f"the cluster is not in step: {replicas}"
            await asyncio.sleep(0.2)

    async def client(self) -> Client:
        """A connection of our own to NATS, past every proxy."""
        return await nats.connect([node.url for node in self.nodes])

    async def finish(self) -> tuple[list[Violation], list[str]]:
        """End the run: what does not fit together in the ledger, and what there is more
        of than before, or otherwise."""
        await self.served()
        await self.quiet()
        await self.in_step()
        # Before the subscribers leave: their last stream has no end.
        violations = self.ledger.violations(await self._stored())
        excess = []
        for instance in self.instances:
            excess += await self.settle(instance)
            died = len(instance.service.events("worker.died"))
            if died != instance.killed:
                excess.append(f"{died} workers died, {instance.killed} were killed")
        return violations, excess

    async def settle(self, instance: Instance) -> list[str]:
        """What is not at its level after a while: asked at the end, and before what
        makes a process of this instance anew."""
        return await asyncio.to_thread(settle, instance, self._before[instance])

    async def _stored(self) -> dict[str, int]:
        """Each environment's last update in JetStream."""
        deadline = self.now() + GIVE_UP_SECONDS
        while True:
            client = await self.client()
            try:
                js = client.jetstream()
                return {
                    name: await last_stored(js, name) for name in self.ledger.published
                }
            except nats.errors.Error:  # there is no leader for a moment
                if self.now() > deadline:
                    raise
            finally:
                await client.close()
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        tasks = [*self._publishing, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def last_stored(js: JetStreamContext, environment: str) -> int:
    message = await js.get_last_msg(
        "environments-stream", f"flagsmith.environment.{environment}"
    )
    assert message.data is not None
    return number_of(environment, json.loads(message.data)["updated_at"])


@asynccontextmanager
async def running_stand(
    nodes: Sequence[NatsServer],
    urls: dict[str, str],
    folder: Path,
    rng: Random,
    *,
    proxy: Proxy | None = None,
    cluster: Cluster | None = None,
) -> AsyncIterator[Stand]:
    """A stand with one instance for each of `urls` (server: the NATS URLs it has)."""
    async with AsyncExitStack() as stack:
        # One keeps on disk what it cannot store, the others in memory only.
        instances = [
            Instance(server, url, folder, on_disk=server == ON_DISK)
            for server, url in urls.items()
        ]
        for instance in instances:
            await asyncio.to_thread(instance.start)
            stack.push_async_callback(asyncio.to_thread, instance.stop)
        stand = Stand(nodes, instances, rng, proxy=proxy, cluster=cluster)
        stack.push_async_callback(stand.close)
        await stand.begin()
        yield stand
