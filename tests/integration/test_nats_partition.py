"""A node of a NATS cluster is cut off from the others, but not from us."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import nats as nats_py
import nats.errors
import pytest
import requests

from tests.support.nats import NatsServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.service import running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

STREAM = "environments-stream"
NODES = 3
NOTICED_SECONDS = 10.0 + 1.0
"""10 s, and a busy machine."""

LEFT_SECONDS = 20.0
"""Where the cluster elects new leaders meanwhile."""


@dataclass
class Cluster:
    """Three nodes; all that the first and the others say to each other goes through
    `links`."""

    nodes: list[NatsServer]
    links: list[Proxy]

    def cut_off(self) -> None:
        """Part the first node from the others."""
        for link in self.links:
            link.refuse()
            link.freeze()


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def routes_of(node: NatsServer) -> int:
    assert node.monitoring_url
    answer = requests.get(f"{node.monitoring_url}/routez", timeout=5).json()
    return len({route["remote_name"] for route in answer["routes"]})


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    direct = [f"nats://127.0.0.1:{port}" for port in free_ports(NODES)]
    with ExitStack() as stack:
        links = [stack.enter_context(running_proxy(route)) for route in direct]
        through = [link.url for link in links]
        routes = [
            [through[1], through[2]],
            [through[0], direct[2]],
            [through[0], direct[1]],
        ]
        nodes = [
            NatsServer(
                tmp_path / f"node-{number}",
                arguments=(
                    f"--server_name=node-{number}",
                    "--cluster_name=parted",
                    f"--cluster={direct[number]}",
                    # What the nodes tell each other of each other.
                    f"--cluster_advertise={through[number].partition('://')[2]}",
                    f"--routes={','.join(routes[number])}",
                ),
            )
            for number in range(NODES)
        ]
        for node in nodes:
            stack.callback(node.stop)
        # Those two find each other first, so that they are not linked by a proxy.
        for node in nodes[1:]:
            node.start()
        eventually(lambda: routes_of(nodes[1]) == 1, what="a route")
        nodes[0].start()
        eventually(lambda: all(routes_of(n) == 2 for n in nodes), what="the routes")
        yield Cluster(nodes, links)


async def hold(node: NatsServer, *, stream: str, consumer: str) -> None:
    """Have the stream led by the one node, and our consumer held by the other."""
    request = json.dumps({"placement": {"preferred": stream}}).encode()
    async with await nats_py.connect(node.url) as client, asyncio.timeout(60):
        jetstream = client.jetstream()
        while True:
            try:
                [ours] = await jetstream.consumers_info(STREAM)
                info = await jetstream.stream_info(STREAM)
                assert ours.cluster
                assert info.cluster
                if ours.cluster.leader != consumer:
                    # It is made again, on any of them.
                    await jetstream.delete_consumer(STREAM, ours.name)
                elif info.cluster.leader != stream:
                    await client.request(
                        f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}", request
                    )
                else:
                    return
            except (nats.errors.Error, ValueError):
                continue  # not there yet


async def publish(node: NatsServer, environment: str, number: int) -> None:
    """Publish until it is stored."""
    subject = f"flagsmith.environment.{environment}"
    payload = b'{"updated_at":%d}' % number
    async with await nats_py.connect(node.url) as client, asyncio.timeout(30):
        while True:
            with suppress(nats.errors.Error):
                await client.jetstream().publish(subject, payload, timeout=1)
                return


@pytest.mark.parametrize("leader", ["node-0", "node-1"])
async def test_node_cut_off__it_holds_our_consumer__noticed_and_left_for_another(
    cluster: Cluster, tmp_path: Path, environment: str, leader: str
) -> None:
    # Given: connected to the first node, because no other can be reached yet
    ours, *others = cluster.nodes
    with ExitStack() as stack:
        ways = [stack.enter_context(running_proxy(node.url)) for node in others]
        for way in ways:
            way.cut()
        urls = ",".join([ours.url, *(way.url for way in ways)])
        service = stack.enter_context(
            running_service("serve", urls, tmp_path, NATS_STREAM_REPLICAS="3")
        )
        await asyncio.to_thread(service.await_ready, seconds=30)
        await hold(others[0], stream=leader, consumer="node-0")
        for way in ways:
            way.restore()
        await asyncio.to_thread(service.await_ready)
        async with Stream(service.stream_url(environment)) as stream:
            # When
            cluster.cut_off()
            await asyncio.to_thread(service.await_ready, False, NOTICED_SECONDS)
            await publish(others[0], environment, 1)

            # Then
            assert await stream.next_event(LEFT_SECONDS) == event("1")
        address = service.events("nats.connected")[-1]["server"]
        assert address in {way.url.partition("://")[2] for way in ways}
        reasons = [event["reason"] for event in service.events("bridge.interrupted")]
        assert any("environments-stream" in reason for reason in reasons)
