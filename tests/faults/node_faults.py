"""Faults of one nats-server, and of the way to it."""

import asyncio
import signal
from http import HTTPStatus
from random import Random

from tests.faults.fault import Fault
from tests.faults.ledger import Incident
from tests.faults.stand import Stand
from tests.support.streams import Stream

STOPPED_SECONDS = 20.0
NOTICED_SECONDS = 10.0
LATE_SECONDS = 3.0
"""For a busy machine."""


async def refused(stand: Stand) -> None:
    """Wait until every instance says that it is not ready, refuses a publish with 503,
    and a subscription, after a while."""
    for instance in stand.instances:
        await asyncio.to_thread(instance.service.await_ready, False)
    began = stand.now()
    for publisher in stand.publishers.values():
        publisher.hurry()
    await stand.until(
        lambda: all(
            updates[-1].sent > began and updates[-1].status
            for updates in stand.ledger.published.values()
        ),
        "the publishes to be refused",
    )
    for updates in stand.ledger.published.values():
        assert updates[-1].status == HTTPStatus.SERVICE_UNAVAILABLE, updates[-1]
        assert b"NATS" in updates[-1].body, updates[-1]
    for instance in stand.instances:
        began = stand.now()
        async with Stream(instance.service.stream_url("rejected")) as stream:
            assert stream.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert stand.now() - began >= 0.5, "the 503 was not paced"


async def kill(stand: Stand, incident: Incident, rng: Random) -> None:
    [node] = stand.nodes
    await asyncio.to_thread(node.kill)
    await refused(stand)
    await asyncio.sleep(rng.uniform(0, 2))
    await asyncio.to_thread(node.start)


async def empty(stand: Stand, incident: Incident, rng: Random) -> None:
    [node] = stand.nodes
    await asyncio.to_thread(node.kill)
    incident.destroyed = stand.now()
    await asyncio.sleep(rng.uniform(0, 2))
    await asyncio.to_thread(node.start, empty=True)


async def stop(stand: Stand, incident: Incident, rng: Random) -> None:
    [node] = stand.nodes
    began = stand.now()
    await asyncio.to_thread(node.signal, signal.SIGSTOP)
    try:
        for instance in stand.instances:
            await asyncio.to_thread(instance.service.await_ready, False)
        noticed = stand.now() - began
        assert noticed < NOTICED_SECONDS + LATE_SECONDS, f"noticed after {noticed:.1f}"
        await asyncio.sleep(STOPPED_SECONDS - noticed)
    finally:
        await asyncio.to_thread(node.signal, signal.SIGCONT)


async def cut(stand: Stand, incident: Incident, rng: Random) -> None:
    assert stand.proxy is not None
    stand.proxy.cut()
    cut_off, *others = stand.instances
    await asyncio.to_thread(cut_off.service.await_ready, False)
    assert all(instance.service.is_ready() for instance in others)
    await asyncio.sleep(rng.uniform(2, 5))
    stand.proxy.restore()


NODE_FAULTS = (
    Fault(
        "kill",
        "`kill -9` of nats-server, restarted with its store",
        "open streams stay open, subscriptions meanwhile get the paced 503, publishes "
        "503 within 2 s, all resumes by itself",
        kill,
    ),
    Fault(
        "empty-store",
        "the same, restarted with an empty store",
        "the stream is created again, nothing hangs on a consumer or a sequence that "
        "no longer exists",
        empty,
    ),
    Fault(
        "stop",
        "nats-server stopped with SIGSTOP for 20 s (half-open connection)",
        "noticed within 10 s, `/readyz` 503, recovers after SIGCONT",
        stop,
    ),
    Fault(
        "cut",
        "connection cut between one instance and NATS, while others publish",
        "all that is published meanwhile is delivered after reconnection",
        cut,
    ),
)
