"""What the kernel can do for a TCP connection, and knows of it, beyond what Python has
names for. Linux's; elsewhere each function does the least that is right."""

import errno
import fcntl
import socket
import struct
import termios
from typing import Final, Protocol

RETRY_MILLISECONDS: Final = 15_000
"""The longest that the kernel waits before it sends again what was not confirmed. Linux
alone takes up to two minutes: so long would a client whose network is back hear
nothing. As often as keep-alives are sent to those that are there."""

_LONGEST: Final = 2**31 - 1

_TCP_RTO_MAX_MS: Final = 44
"""Of linux/tcp.h, from Linux 6.15 on."""

_LAST_ACK_RECV: Final = slice(56, 60)
"""Where `tcpi_last_ack_recv`, in milliseconds, is in Linux's `struct tcp_info`."""

_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("9I")
_WMEM_QUEUED: Final = 5
"""Of asm-generic/socket.h and linux/sock_diag.h."""


class Socket(Protocol):
    """The part of a socket that is used here; uvloop's stand-ins have it, too."""

    def fileno(self) -> int: ...
    def dup(self) -> socket.socket: ...
    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...
    def setsockopt(self, level: int, optname: int, value: int, /) -> None: ...


def end_output(connected: Socket) -> bool:
    """Tell the peer that nothing more will come, unless something from it waits to be
    read; returns whether it was told.

    At once: a server closes a connection only in the next turn of its event loop, and
    a request that came meanwhile would be answered by a reset.
    """
    try:
        if _asked(connected, termios.FIONREAD):
            return False
        with connected.dup() as same:
            same.shutdown(socket.SHUT_WR)
    except OSError:
        # The peer has closed it.
        return True
    return True


def hold_back(connected: Socket) -> None:
    """Let the kernel keep what is written until the connection is closed, or for the
    fifth of a second after which Linux sends it in any case."""
    if hasattr(socket, "TCP_CORK"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def wait_for_vanished(listener: Socket, seconds: float) -> None:
    """Have the kernel give up each connection that `listener` accepts from now on when
    what was sent on it has stayed unconfirmed for so many seconds, and not before.

    It goes on sending all that time: a client whose network is back gets everything.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = min(int(seconds * 1000), _LONGEST)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        try:
            listener.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, RETRY_MILLISECONDS)
        except OSError:
            # An older Linux: it takes longer to be heard again.
            return


def seconds_since_confirmed(connected: Socket) -> float:
    """How long ago the peer's kernel last confirmed anything; 0 where the system does
    not tell, or the connection is closed."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    try:
        told = connected.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_RECV.stop
        )
    except OSError:
        return 0.0
    return int.from_bytes(told[_LAST_ACK_RECV], "little") / 1000


def unconfirmed(connected: Socket) -> int:
    """The bytes that were written and that the peer's kernel has not confirmed. Raises
    `OSError` if the connection is closed."""
    return _asked(connected, termios.TIOCOUTQ)


def memory(connected: Socket) -> int:
    """The bytes that the kernel needs to keep what is unconfirmed: more than what is
    kept. Raises `OSError` if the connection is closed."""
    told = connected.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    return int(_MEMINFO.unpack(told)[_WMEM_QUEUED])


def _asked(connected: Socket, request: int) -> int:
    try:
        answer = fcntl.ioctl(connected.fileno(), request, bytes(4))
    except ValueError as error:  # that is how Python says it of a closed socket
        raise OSError(errno.EBADF, str(error)) from error
    return int.from_bytes(answer, "little")
