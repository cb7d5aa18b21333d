"""The port of the embedded nats-server, the same from start to start where it is free:
what another terminal has exported stays true."""

import socket
from pathlib import Path
from typing import Final

ANY_FREE: Final = -1
"""For nats-server, which takes 0 for its usual port."""

LAST_PORT: Final = 65535


def kept_port(file: Path) -> int:
    """The port in `file`, if it is free on the loopback; else `ANY_FREE`."""
    try:
        port = int(file.read_text())
        if 0 < port <= LAST_PORT:
            with socket.create_server(("127.0.0.1", port)):
                return port
    except (OSError, ValueError):
        pass  # not kept yet, or taken
    return ANY_FREE


def keep_port(file: Path, url: str) -> None:
    """Write the port of `url` into `file`."""
    file.write_text(f"{url.rpartition(':')[2]}\n")
