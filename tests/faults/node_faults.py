"""Faults of one nats-server, and of the way to it."""

import asyncio
import signal
from http import HTTPStatus
from math import inf
from random import Random

from tests.faults.entries import Incident
from tests.faults.fault import Fault
from tests.faults.stand import Stand
from tests.support.streams import Stream

STOPPED_SECONDS = 20.0
NOTICED_SECONDS = 10.0
KEPT_SECONDS = 15.0
LATE_SECONDS = 3.0
"""For a busy machine."""


async def kept(stand: Stand) -> None:
    """Wait until every instance says that it is not ready, publishes are refused with
    503 or kept, in the end all of them kept, and a subscription is refused after a
    while."""
    for instance in stand.instances:
        await asyncio.to_thread(instance.service.await_ready, False)
    began = stand.now()
    stand.hurry()
    published = stand.ledger.published.values()
    await stand.until(
        lambda: all(
            update.ended != inf and update.sent > began and update.tries[-1].kept
            for update in (updates[-1] for updates in published)
        ),
        "all publishes to be kept",
        KEPT_SECONDS,
    )
    for updates in published:
        for answer in updates[-1].tries:
            if not answer.kept:
                assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE, answer
                assert b"NATS" in answer.body, answer
    for instance in stand.instances:
        began = stand.now()
        async with Stream(instance.service.stream_url("rejected")) as stream:
            assert stream.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert stand.now() - began >= 0.5, "the 503 was not paced"


async def kill(stand: Stand, incident: Incident, rng: Random) -> None:
    [node] = stand.nodes
    await asyncio.to_thread(node.kill)
    await kept(stand)
    await asyncio.sleep(rng.uniform(0, 2))
    await asyncio.to_thread(node.start)


async def blink(stand: Stand, incident: Incident, rng: Random) -> None:
    [node] = stand.nodes
    stand.hurry()
    await asyncio.sleep(rng.uniform(0, 0.3))
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(rng.uniform(0.5, 1.5))
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
        "503 or, soon, 202 as kept; all resumes by itself",
        kill,
    ),
    Fault(
        "blink",
        "NATS away for a second, in the middle of a project's change (`kill -9`, "
        "started again)",
        "every environment of the project is told",
        blink,
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
        "what reaches that instance is told by the others; all is delivered to its "
        "subscribers after reconnection",
        cut,
    ),
)
