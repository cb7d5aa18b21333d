"""What happens while the dashboard's picture is taken: three minutes of two instances,
the first of two workers, the second of one."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.integration.test_commands import running
from tests.support.monitoring import Monitored, monitoring
from tests.support.prometheus import Prometheus
from tests.support.raw_http import queue_change
from tests.support.service import TOKEN, Service
from tests.support.streams import Stream

SECONDS: Final = 180
"""How long it takes."""

BODY: Final = b'{"updated_at":1.%s}' % (b"7" * 250)
"""An update that is long enough to fill the buffers of clients who do not read."""


@dataclass
class Scenario:
    """`happened` is what, and when: in seconds after `start`, which is Unix time as
    `end`."""

    prometheus: Prometheus
    start: float
    end: float = 0.0
    happened: dict[str, float] = field(default_factory=dict)

    async def at(self, second: float, what: str) -> None:
        """Wait until then, and note what happens now."""
        await asyncio.sleep(self.start + second - time.time())
        self.happened[what] = time.time() - self.start


def record(folder: Path, then: Callable[[Scenario], None]) -> None:
    """Let it all happen, with files in `folder`, and call `then` while Prometheus can
    still be asked."""
    with (
        monitoring(
            folder,
            ["workers", "serve"],
            SSE_KEEPALIVE_SECONDS="5",
            SSE_STALL_SECONDS="10",
            SSE_DRAIN_SECONDS="5",
            SSE_CANARY_SECONDS="5",
        ) as monitored,
        ExitStack() as loads,
    ):
        monitored.services[0].expected_errors.add("worker.died")
        scenario = Scenario(monitored.prometheus, monitored.since)
        asyncio.run(_play(scenario, monitored, loads))
        scenario.end = time.time()
        then(scenario)


async def _play(scenario: Scenario, monitored: Monitored, loads: ExitStack) -> None:
    first, second = monitored.services
    busy = partial(queue_change, second, "busy", BODY)
    unauthorised = partial(second.publish, "busy", 1, "wrong")
    async with _meanwhile(_visits(second), _probes(first), _probes(second)):
        await scenario.at(10, "2,000 subscribers come to one, 1,000 to the other")
        for service, subscribers, seconds in ((first, 2000, 145), (second, 1000, 60)):
            loads.enter_context(_load(service, subscribers, seconds))
        await scenario.at(40, "20 clients of a busy environment stop reading")
        with _clients_that_do_not_read(second, "busy", 20):
            async with _meanwhile(*(_again_and_again(0, busy) for _ in range(4))):
                await scenario.at(65, "that environment is quiet again")
            await scenario.at(85, "a worker is killed")
            os.kill(first.workers()[0], signal.SIGKILL)
        await scenario.at(100, "NATS is killed")
        monitored.nats.kill()
        await scenario.at(110, "NATS is back")
        monitored.nats.start()
        await scenario.at(125, "somebody publishes with a wrong token")
        async with _meanwhile(_again_and_again(0.1, unauthorised)):
            await scenario.at(135, "and stops")
        await scenario.at(145, "the workers are replaced, one by one")
        first.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(scenario.start + SECONDS - time.time())


@asynccontextmanager
async def _meanwhile(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _again_and_again(seconds: float, action: Callable[[], object]) -> None:
    while True:
        with suppress(OSError):  # a server that is not there now
            await asyncio.to_thread(action)
        await asyncio.sleep(seconds)


def _probes(service: Service) -> Coroutine[Any, Any, None]:
    return _again_and_again(1, service.is_ready)


async def _visits(service: Service) -> None:
    """Subscribers that come and go at once."""
    while True:
        with suppress(OSError, AssertionError, TimeoutError):
            async with Stream(service.stream_url("visited")):
                pass
        await asyncio.sleep(0.1)


@contextmanager
def _clients_that_do_not_read(
    service: Service, environment: str, count: int
) -> Iterator[None]:
    path = f"/sse/environments/{environment}/stream"
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", service.port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield


def _load(
    service: Service, subscribers: int, seconds: int
) -> AbstractContextManager[object]:
    """A load test with an update a second."""
    return running(
        *("loadtest", f"--url={service.url}", f"--subscribers={subscribers}"),
        *("--ramp=200/s", "--interval=1", f"--duration={seconds}", "--processes=1"),
        environment={"SSE_AUTHENTICATION_TOKEN": TOKEN},
        output=service.log.with_suffix(".load"),
    )
