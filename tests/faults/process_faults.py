"""Faults of the service's own processes."""

import asyncio
import os
import signal
from random import Random

from tests.faults.fault import Fault
from tests.faults.instances import Instance
from tests.faults.ledger import Incident
from tests.faults.levels import introspect
from tests.faults.stand import Stand


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
    os.kill(victim, signal.SIGKILL)
    workers.killed += 1
    incident.healed = stand.now()
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
    for publisher in stand.publishers.values():
        publisher.hurry()
    await asyncio.sleep(rng.uniform(0, 0.01))
    await asyncio.to_thread(serve.stop)
    incident.healed = stand.now()
    await asyncio.to_thread(serve.start)


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
)
