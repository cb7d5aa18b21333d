"""The socket that the service listens on."""

import errno
import os
import socket
from typing import Final

from realtime.exceptions import RealtimeError

BACKLOG: Final = 4096
"""A short backlog makes thousands of clients that reconnect at once wait for seconds:
../shared/design.md, 5."""

SEND_BUFFER_BYTES: Final = 32 * 1024
"""What the kernel keeps for a client that does not read; Linux doubles it. Left alone
it grows to megabytes, of updates that nobody needs any more."""


class CannotListen(RealtimeError):
    """The address cannot be listened on; the message says why."""


def listen(address: str, *, reuse_port: bool = False) -> socket.socket:
    """A socket that listens on `address` (`HOST:PORT`, or `:PORT` for all interfaces,
    IPv6 and IPv4). With `reuse_port` several processes may have one each, and the
    kernel spreads the connections over them.

    Raises `CannotListen`.
    """
    host, port = _parse(address)
    dualstack = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if ":" in host or dualstack else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port),
            family=family,
            backlog=BACKLOG,
            reuse_port=reuse_port,
            dualstack_ipv6=dualstack,
        )
    except OSError as error:
        raise _explained(error, address, port) from error
    # Inherited by every connection that is accepted.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listener


def reserve(address: str) -> socket.socket:
    """Keep `address` for the processes that will listen on it with `reuse_port`.

    Returns a socket to be kept open, which takes no connections itself.

    Raises `CannotListen`, also if others already share the port in that way.
    """
    with listen(address) as probe:
        port = port_of(probe)
    host, _ = _parse(address)
    kept = socket.socket(probe.family, probe.type)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if probe.family == socket.AF_INET6:
        kept.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(host)))
    try:
        kept.bind((host, port))
    except OSError as error:
        kept.close()
        raise _explained(error, address, port) from error
    return kept


def port_of(listener: socket.socket) -> int:
    """The port, also where 0 asked for any."""
    port: int = listener.getsockname()[1]
    return port


def _parse(address: str) -> tuple[str, int]:
    host, _, port_text = address.rpartition(":")
    port = int(port_text)
    if port > 65535:
        raise CannotListen(f"LISTEN_ADDR: there is no port {port}")
    return host.strip("[]"), port


def _explained(error: OSError, address: str, port: int) -> CannotListen:
    reasons = {
        errno.EADDRINUSE: f"port {port} is in use: stop what listens there, or set "
        "LISTEN_ADDR to another",
        errno.EACCES: f"port {port} needs privileges: take one from 1024",
    }
    number = error.errno or 0
    # A name that is not known has no number of the system's.
    reason = reasons.get(number) or (os.strerror(number) if number > 0 else str(error))
    return CannotListen(f"Cannot listen on {address}: {reason}")
