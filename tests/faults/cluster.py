"""Three nats-servers that form a cluster on loopback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.nats import NatsServer

NODES = 3


@contextmanager
def running_cluster(folder: Path) -> Iterator[list[NatsServer]]:
    """The nodes, named `node-0` and so on; they have yet to elect a leader."""
    routes = [f"nats://127.0.0.1:{port}" for port in _free_ports(NODES)]
    nodes = [
        NatsServer(
            folder / f"node-{number}",
            arguments=(
                f"--server_name=node-{number}",
                "--cluster_name=faults",
                f"--cluster={route}",
                f"--routes={','.join(routes)}",
            ),
        )
        for number, route in enumerate(routes)
    ]
    try:
        for node in nodes:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
