"""The socket that the service listens on."""

import errno
import os
import socket
from typing import Final

from realtime.exceptions import RealtimeError

BACKLOG: Final = 4096
"""A short backlog makes thousands of clients that reconnect at once wait for seconds:
../shared/design.md, 5."""


class CannotListen(RealtimeError):
    """The address cannot be listened on; the message says why."""


def listen(address: str) -> socket.socket:
    """A socket that listens on `address` (`HOST:PORT`, or `:PORT` for all interfaces,
    IPv6 and IPv4).

    Raises `CannotListen`.
    """
    host, _, port_text = address.rpartition(":")
    host, port = host.strip("[]"), int(port_text)
    if port > 65535:
        raise CannotListen(f"LISTEN_ADDR: there is no port {port}")
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use: stop what listens there, or set "
            "LISTEN_ADDR to another",
            errno.EACCES: f"port {port} needs privileges: take one from 1024",
        }
        reason = reasons.get(error.errno or 0, os.strerror(error.errno or 0))
        raise CannotListen(f"Cannot listen on {address}: {reason}") from error


def port_of(listener: socket.socket) -> int:
    """The port, also where 0 asked for any."""
    port: int = listener.getsockname()[1]
    return port
