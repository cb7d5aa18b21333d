"""Closing the connections of Daphne, which gives an application no hand in them.

What is needed is within the reach of Twisted's reactor, which knows every socket, and
of its HTTP channel, the protocol of a connection.
"""

from typing import Any

from realtime.http.tcp import end_output


def listening_address(reactor: Any) -> tuple[str, int] | None:
    """The address and port at which `reactor` listens without TLS; None: only with it,
    or on a Unix socket."""
    from twisted.internet.address import IPv4Address, IPv6Address
    from twisted.internet.tcp import Port

    for port in reactor.getReaders():
        # A port with TLS is one without, but for its name.
        if isinstance(port, Port) and port._type == "TCP":
            address: Any = port.getHost()  # type: ignore[no-untyped-call]
            if isinstance(address, IPv4Address | IPv6Address):
                return address.host, address.port
    return None


def answer_for_the_last_time(reactor: Any) -> None:
    """Close each HTTP connection of `reactor` with the answer that is under way, or,
    from now on, with its next one."""
    from twisted.web.http import HTTPChannel

    # Asked of every request that comes. The process ends: nobody needs it again.
    HTTPChannel.checkPersistence = lambda *_: False  # type: ignore[method-assign]  # that is the purpose
    for channel in channels(reactor):
        if channel.requests:
            channel.persistent = False
            request = channel.requests[0]
            if not request.startedWriting:
                # Told of it too late, the client would send its next request here.
                request.responseHeaders.setRawHeaders(b"connection", [b"close"])


def idle_channels(reactor: Any) -> set[Any]:
    """The HTTP channels of `reactor` that are answering no request."""
    return {channel for channel in channels(reactor) if not channel.requests}


def close_idle_channel(channel: Any) -> None:
    """Close the channel's connection, unless a request is there after all."""
    if not channel.requests and end_output(channel.transport.getHandle()):
        channel.loseConnection()


def channels(reactor: Any) -> list[Any]:
    """The HTTP channels of `reactor`: one for each connection."""
    from twisted.web.http import HTTPChannel

    # The protocol of a connection wraps its channel; TLS wraps that once more.
    protocols = (getattr(reader, "protocol", None) for reader in reactor.getReaders())
    inner = (getattr(p, "wrappedProtocol", p) for p in protocols)
    inner_channels = (getattr(p, "_channel", None) for p in inner)
    return [channel for channel in inner_channels if isinstance(channel, HTTPChannel)]
