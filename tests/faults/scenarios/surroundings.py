"""A service with a nats-server of its own, and what others notice of a scenario."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import repeat
from pathlib import Path
from random import Random
from statistics import quantiles

from tests.faults.entries import Account
from tests.faults.ledger import Ledger
from tests.faults.publishers import Publisher
from tests.faults.scenarios.scenario import unless
from tests.faults.subscribers import SdkSubscriber
from tests.support.nats import NatsServer
from tests.support.service import ROOT, Service, running_service
from tests.support.waiting import eventually

OTHERS = 20
"""Subscribers whose latency is measured."""

INTERVAL = 0.02
WINDOW_SECONDS = 1.5
WORSE = 1.5
NOISE_SECONDS = 0.003
"""What the p99 of the best window, of some milliseconds, may vary by."""

TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def surroundings(
    folder: Path,
    *,
    server: str = "serve",
    arguments: Sequence[str] = (),
    open_files: str = "",
    **environment: str,
) -> Iterator[tuple[Service, NatsServer]]:
    """A service that is ready, and its nats-server; `serve` in one process unless
    `server` says otherwise."""
    nats = NatsServer(folder / "nats")
    nats.start()
    try:
        with running_service(
            server,
            nats.url,
            folder,
            arguments=arguments,
            open_files=open_files,
            DJANGO_SETTINGS_MODULE="tests.support.introspection",
            **environment,
        ) as service:
            service.await_ready()
            yield service, nats
    finally:
        nats.stop()


async def p99_of_others(service: Service, seconds: float, rng: Random) -> float:
    """The p99 latency, in seconds from publishing to reading, of subscribers of another
    environment: in the best of the windows of that time, as other work on the machine
    only adds to it."""
    ledger = Ledger()
    # One that was never published to: its updates are counted from 1 on.
    others = f"others-{rng.getrandbits(32):x}"
    publisher = Publisher(ledger, [others], repeat(service.url), INTERVAL, rng)
    accounts = [Account("serve", others) for _ in range(OTHERS)]
    tasks = [
        asyncio.create_task(
            SdkSubscriber(account, service.stream_url(others), rng).run()
        )
        for account in accounts
    ]
    await asyncio.to_thread(
        eventually,
        lambda: all(account.connected for account in accounts),
        what="the others to be connected",
    )
    loop = asyncio.get_running_loop()
    first = len(ledger.published[others])
    tasks.append(asyncio.create_task(publisher.run()))
    windows = []
    for _ in range(int(seconds / WINDOW_SECONDS)):
        since = loop.time()
        await asyncio.sleep(WINDOW_SECONDS)
        windows.append((since, loop.time()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    updates = ledger.published[others]
    return min(
        quantiles(
            [
                seen - updates[number - 1].sent
                for account in accounts
                for seen, number in account.events
                if since <= seen <= until and first < number <= len(updates)
            ],
            n=100,
        )[-1]
        for since, until in windows
    )


def slowed(before: float, during: float) -> list[str]:
    """The complaint, if that is what others were."""
    return unless(
        during < before * WORSE + NOISE_SECONDS,
        f"others' p99 rose from {before * 1000:.1f} to {during * 1000:.1f} ms",
    )


@asynccontextmanager
async def readers(
    service: Service, count: int, environment: str, last: str
) -> AsyncIterator[asyncio.StreamReader]:
    """So many subscribers of an environment, in a process of their own; the line that
    comes when each of them has been told `last` says how many events came to all."""
    module = "tests.faults.scenarios.readers"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, str(service.port), str(count)),
        *(environment, last),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"subscribed\n"
        yield process.stdout
        assert process.returncode is None, "they have ended"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def probed(service: Service, path: str = "/livez") -> AsyncIterator[list[float]]:
    """Ask for `path` all the time, which must be answered with 200; how long each
    answer took is there at the end."""
    module = "tests.faults.scenarios.prober"
    prober = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, service.url + path),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    answers: list[float] = []
    try:
        yield answers
    finally:
        crashed = prober.returncode is not None
        if not crashed:
            prober.terminate()
        printed, _ = await prober.communicate()
        answers += map(float, printed.splitlines())
        assert not crashed, f"{path} was not answered with 200"


def cpu(service: Service) -> float:
    """The processor time that it has used, in seconds."""
    stat = Path(f"/proc/{service.process.pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(service: Service) -> float:
    """Its resident memory in MB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    [line] = [x for x in status.splitlines() if x.startswith("VmRSS:")]
    return int(line.split()[1]) / 1000


def socket_memory() -> float:
    """What all TCP sockets of the machine hold in the kernel, in MB."""
    text = Path("/proc/net/sockstat").read_text()
    [line] = [x for x in text.splitlines() if x.startswith("TCP:")]
    return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
