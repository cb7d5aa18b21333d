"""The socket that the service listens on."""

import errno
import os
import socket
from typing import Final

from realtime.exceptions import RealtimeError

BACKLOG: Final = 4096
"""A short backlog makes thousands of clients that reconnect at once wait for seconds:
ten thousand took 80 s with Daphne's own backlog of 50, and 5 s with this one."""


class CannotListen(RealtimeError):
    """The address cannot be listened on; the message says why."""


def listen(address: str, variable: str = "LISTEN_ADDR") -> socket.socket:
    """A socket that listens on `address`: `HOST:PORT`, or `:PORT` for all interfaces,
    IPv6 and IPv4. `variable` is the setting it comes from. Raises `CannotListen`."""
    listener = bind(address, variable)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, address, variable) from error
    return listener


def bind(
    address: str, variable: str = "LISTEN_ADDR", *, shared: bool = False
) -> socket.socket:
    """A socket that is bound to `address` and does not listen yet. Where it is `shared`
    there may be several, and the kernel spreads the connections over those that listen.

    Raises `CannotListen`.
    """
    host, port = _parse(address, variable)
    dualstack = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if ":" in host or dualstack else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dualstack))
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _explained(error, address, variable) from error
    return bound


def reserve(address: str) -> socket.socket:
    """Keep `address` for the sockets that will share it.

    Returns one of them, to be kept open; it never listens.

    Raises `CannotListen`, also if others share the port already.
    """
    with listen(address) as probe:
        port = port_of(probe)
    return bind(f"{address.rpartition(':')[0]}:{port}", shared=True)


def port_of(listener: socket.socket) -> int:
    """The port, also where 0 asked for any."""
    port: int = listener.getsockname()[1]
    return port


def _parse(address: str, variable: str) -> tuple[str, int]:
    host, _, port_text = address.rpartition(":")
    port = int(port_text)
    if port > 65535:
        raise CannotListen(f"{variable}: there is no port {port}")
    return host.strip("[]"), port


def _explained(error: OSError, address: str, variable: str) -> CannotListen:
    _, port = _parse(address, variable)
    reasons = {
        errno.EADDRINUSE: f"port {port} is in use: stop what listens there, or set "
        f"{variable} to another",
        errno.EACCES: f"port {port} needs privileges: take one from 1024",
    }
    number = error.errno or 0
    # A name that is not known has no number of the system's.
    reason = reasons.get(number) or (os.strerror(number) if number > 0 else str(error))
    return CannotListen(f"Cannot listen on {address}: {reason}")
