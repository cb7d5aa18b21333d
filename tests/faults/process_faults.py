"""Faults of the service's own processes."""

import asyncio
import os
import signal
from functools import partial
from random import Random
from typing import Final

from tests.faults.entries import Death, Incident
from tests.faults.fault import Fault
from tests.faults.instances import Instance
from tests.faults.levels import introspect
from tests.faults.node_faults import kept
from tests.faults.stand import ON_DISK, Stand

RESET_SECONDS: Final = 0.5
"""For a killed worker's connections to be reset."""


def instance(stand: Stand, server: str) -> Instance:
    [found] = [i for i in stand.instances if i.server == server]
    return found


async def settled(stand: Stand, instance: Instance, incident: Incident) -> None:
    """Nothing that it should not hold goes with its processes unnoticed. The fault
    begins after that."""
    excess = await stand.settle(instance)
    assert not excess, f"before it was made anew: {excess}"
    incident.begun = stand.now()


async def worker_killed(stand: Stand, incident: Incident, rng: Random) -> None:
    workers = instance(stand, "workers")
    workers.service.expected_errors.add("worker.died")
    victim = rng.choice(workers.pids())
    await settled(stand, workers, incident)
    connected = len(workers.service.events("nats.connected"))
    streams = (await asyncio.to_thread(introspect, workers))[victim]["subscribers"]
    incident.healed = stand.now()
    incident.deaths.append(
        Death(workers.service.url, incident.healed, incident.healed + RESET_SECONDS)
    )
    os.kill(victim, signal.SIGKILL)
    workers.killed += 1
    [survivor] = [pid for pid in workers.pids() if pid != victim]
    await asyncio.to_thread(
        workers.service.await_logged, "nats.connected", connected + 1
    )
    assert survivor in workers.pids(), "another worker went too"
    ended = len(stand.ledger.ended(incident))
    assert ended == streams, f"{ended} streams ended, of {streams} that it had"


async def workers_replaced(stand: Stand, incident: Incident, rng: Random) -> None:
    workers = instance(stand, "workers")
    service = workers.service
    await settled(stand, workers, incident)
    replaced = len(service.events("workers.replaced"))
    service.process.send_signal(signal.SIGHUP)
    incident.healed = stand.now()
    await asyncio.to_thread(service.await_logged, "workers.replaced", replaced + 1)


async def terminated(stand: Stand, incident: Incident, rng: Random) -> None:
    serve = instance(stand, "serve")
    await settled(stand, serve, incident)
    stand.hurry()
    await asyncio.sleep(rng.uniform(0, 0.01))
    await _stop(stand, incident, serve)
    incident.healed = stand.now()
    await _start(stand, incident, serve)


async def terminated_away(stand: Stand, incident: Incident, rng: Random) -> None:
    serve = instance(stand, "serve")
    await settled(stand, serve, incident)
    await _keeping(stand, serve)
    await _stop(stand, incident, serve)
    await _back(stand, incident, serve, rng)


async def keeper_killed(
    stand: Stand, incident: Incident, rng: Random, *, server: str
) -> None:
    keeper = instance(stand, server)
    await settled(stand, keeper, incident)
    await _keeping(stand, keeper)
    death = Death(keeper.service.url, stand.now(), memory=not keeper.on_disk)
    incident.deaths.append(death)
    await asyncio.to_thread(keeper.kill)
    await _back(stand, incident, keeper, rng)


async def _keeping(stand: Stand, keeper: Instance) -> None:
    """Take NATS away; returns when `keeper` holds updates that are stored nowhere, and
    nothing is published any more that would make up for them."""
    [node] = stand.nodes
    await asyncio.to_thread(node.kill)
    await kept(stand)
    await stand.quiet()
    held = await asyncio.to_thread(
        keeper.service.metric, "flagsmith_sse_outbox_updates"
    )
    assert held, f"{keeper.server} keeps nothing: no test of it"


async def _stop(stand: Stand, incident: Incident, stopped: Instance) -> None:
    """By SIGTERM."""
    incident.deaths.append(Death(stopped.service.url, stand.now()))
    await asyncio.to_thread(stopped.stop)


async def _back(stand: Stand, incident: Incident, dead: Instance, rng: Random) -> None:
    """NATS, and then what has died."""
    [node] = stand.nodes
    await asyncio.sleep(rng.uniform(0, 1))
    await asyncio.to_thread(node.start)
    incident.healed = stand.now()
    await _start(stand, incident, dead)


async def _start(stand: Stand, incident: Incident, dead: Instance) -> None:
    await asyncio.to_thread(dead.start)
    incident.deaths[-1].until = stand.now()


PROCESS_FAULTS = (
    Fault(
        "worker-killed",
        "`kill -9` of one of two workers",
        "the other is untouched; clients find the latest on reconnection",
        worker_killed,
        spares=False,
    ),
    Fault(
        "workers-replaced",
        "SIGHUP: rolling replacement",
        "streams end cleanly, clients find the latest on reconnection",
        workers_replaced,
        spares=False,
        clean=True,
    ),
    Fault(
        "terminated",
        "SIGTERM during a broadcast, started again",
        "streams end cleanly, clients find the latest on reconnection",
        terminated,
        spares=False,
        clean=True,
    ),
    Fault(
        "terminated-away",
        "SIGTERM of an instance that keeps updates, while NATS is away",
        "another instance takes them over",
        terminated_away,
        spares=False,
        clean=True,
    ),
    Fault(
        "keeper-killed",
        "`kill -9` of an instance that keeps updates in memory, while NATS is away",
        "what others keep as well is told; what it alone kept is gone, and counted",
        partial(keeper_killed, server="serve"),
        spares=False,
    ),
    Fault(
        "disk-keeper-killed",
        "the same of one with `SSE_OUTBOX_FOLDER`, all of its processes",
        "the next process takes over what it kept",
        partial(keeper_killed, server=ON_DISK),
        spares=False,
    ),
)
