"""Three nats-servers that form a cluster on loopback."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from tests.support.nats import NatsServer
from tests.support.proxy import Proxy, running_proxy

NODES = 3

NOWHERE = "127.0.0.1:1"
"""What the nodes tell each other to reach them at: each has its routes from the start,
and no way past their proxies."""


@dataclass(frozen=True)
class Cluster:
    """`nodes` are named `node-0` and so on; `routes` are the proxies from one node, by
    its number, to another."""

    nodes: list[NatsServer]
    routes: dict[tuple[int, int], Proxy]

    def isolate(self, node: NatsServer) -> None:
        """Cut it off from the other nodes, but not from its clients."""
        for route in self._routes_of(node):
            route.freeze()

    def join(self, node: NatsServer) -> None:
        for route in self._routes_of(node):
            route.thaw()

    def _routes_of(self, node: NatsServer) -> list[Proxy]:
        number = self.nodes.index(node)
        return [proxy for ends, proxy in self.routes.items() if number in ends]


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """The nodes have yet to elect a leader."""
    listeners = [f"nats://127.0.0.1:{port}" for port in _free_ports(NODES)]
    with ExitStack() as stack:
        routes = {
            (here, there): stack.enter_context(running_proxy(listeners[there]))
            for here, there in permutations(range(NODES), 2)
        }
        nodes = []
        for here, listener in enumerate(listeners):
            urls = [proxy.url for ends, proxy in routes.items() if ends[0] == here]
            node = NatsServer(
                folder / f"node-{here}",
                arguments=(
                    f"--server_name=node-{here}",
                    "--cluster_name=faults",
                    f"--cluster={listener}",
                    f"--cluster_advertise={NOWHERE}",
                    f"--routes={','.join(urls)}",
                ),
            )
            node.start()
            stack.callback(node.stop)
            nodes.append(node)
        yield Cluster(nodes, routes)


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
