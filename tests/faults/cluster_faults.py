"""Faults of the nodes of a cluster."""

import asyncio
from random import Random

from tests.faults.entries import Incident
from tests.faults.fault import Fault
from tests.faults.stand import Stand
from tests.faults.stream_faults import STREAM, jetstream
from tests.support.nats import NatsServer

OUTAGE_SECONDS = 10.0 + 3.0
"""10 s, and a busy machine: its nodes elect a leader within 4 to 9 s."""

NOTICED_SECONDS = 10.0 + 3.0
AT_ODDS_SECONDS = 3.0


async def leader_killed(stand: Stand, incident: Incident, rng: Random) -> None:
    async with jetstream(stand) as js:
        cluster = (await js.stream_info(STREAM)).cluster
    assert cluster is not None
    await _restart(stand, _named(stand, cluster.leader), rng)


async def connected_killed(stand: Stand, incident: Incident, rng: Random) -> None:
    service = rng.choice(stand.instances).service
    address = service.events("nats.connected")[-1]["server"]
    [node] = [node for node in stand.nodes if node.url.endswith(address)]
    await _restart(stand, node, rng)


async def consumer_killed(stand: Stand, incident: Incident, rng: Random) -> None:
    async with jetstream(stand) as js:
        consumer = rng.choice(await js.consumers_info(STREAM))
    assert consumer.cluster is not None
    await _restart(stand, _named(stand, consumer.cluster.leader), rng)


async def partitioned(stand: Stand, incident: Incident, rng: Random) -> None:
    assert stand.cluster is not None
    node = rng.choice(stand.nodes)
    if not _clients(node):
        [node, *_] = filter(_clients, stand.nodes)
    began, connected = stand.now(), _clients(node)
    stand.cluster.isolate(node)
    try:
        while connected & await asyncio.to_thread(_clients, node):
            noticed = stand.now() - began
            assert noticed < NOTICED_SECONDS, f"not noticed for {noticed:.1f} s"
            await asyncio.sleep(0.1)
        # While it lasts.
        await stand.served()
    finally:
        stand.cluster.join(node)
        incident.healed = stand.now()
        incident.steps.append(incident.healed)
    # They see only now that they are at odds, and elect again.
    await asyncio.sleep(AT_ODDS_SECONDS)


def _clients(node: NatsServer) -> set[int]:
    """The connections of our processes to it."""
    open_ = node.connections()
    return {c["cid"] for c in open_ if c.get("name") == "flagsmith-sse"}


async def rolled(stand: Stand, incident: Incident, rng: Random) -> None:
    for node in rng.sample(list(stand.nodes), len(stand.nodes)):
        await stand.in_step()
        incident.steps.append(stand.now())
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)


async def _restart(stand: Stand, node: NatsServer, rng: Random) -> None:
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(rng.uniform(4, 8))
    await asyncio.to_thread(node.start)


def _named(stand: Stand, name: str | None) -> NatsServer:
    assert name is not None
    return stand.nodes[int(name.removeprefix("node-"))]


CLUSTER_FAULTS = (
    Fault(
        "leader-killed",
        "cluster of 3: `kill -9` of the stream's leader",
        "no update lost, not stored at once for at most 10 s",
        leader_killed,
        outage=OUTAGE_SECONDS,
    ),
    Fault(
        "connected-killed",
        "cluster of 3: `kill -9` of the node that a process is connected to",
        "the same",
        connected_killed,
        outage=OUTAGE_SECONDS,
    ),
    Fault(
        "consumer-killed",
        "cluster of 3: `kill -9` of the node that holds a consumer",
        "the same",
        consumer_killed,
        outage=OUTAGE_SECONDS,
    ),
    Fault(
        "partitioned",
        "cluster of 3: a node that a process is connected to, cut off from the others",
        "noticed within 10 s, the process goes to another node, no update lost",
        partitioned,
        outage=NOTICED_SECONDS + OUTAGE_SECONDS,
    ),
    Fault(
        "rolled",
        "cluster of 3: rolling restart of all nodes",
        "the same, at each node",
        rolled,
        outage=OUTAGE_SECONDS,
    ),
)
