"""Where the server of this process listens, and where instances reach each other over
HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

from realtime.fleet.agent import Agent

Address = tuple[str, int]
"""A host and a port."""


class Addresses:
    """The address of this process, whose `agent` knows those of the others."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.reached_at: Address | None = None
        """Where this process was reached last, as the server says."""
        self.ask_server: Callable[[], Address | None] | None = None
        """Where a server tells it: where this process listens; no Unix socket, and no
        TLS."""

    def note(self, scope: Mapping[str, Any]) -> None:
        """Learn from a request's `scope` where the server listens, and tell the
        others."""
        host, port = scope.get("server") or (None, None)
        if host and port:
            self.reached_at = host, port
            self._agent.announce()

    def listens_at(self) -> Address | None:
        """Where this process listens; None: not known."""
        return self.reached_at if self.ask_server is None else self.ask_server()

    @property
    def own(self) -> str | None:
        """Where the other instances reach this process: by the address with which it
        reaches NATS, or, where the server does not listen on that version of IP, the
        one at which it was reached; None while these are not known."""
        client = self._agent.client
        host = client.local_host if client is not None else None
        if host is None or self.reached_at is None:
            return None
        return reachable(host, *self.reached_at)

    def siblings(self) -> list[str]:
        """Where other processes can be reached: the other instances, and the workers
        that share this one's port."""
        addresses = self._agent.addresses
        if self.reached_at is not None:
            own = _joined(*self.reached_at)
            return [*addresses, own] if own not in addresses else addresses
        return addresses


def reachable(outgoing: str, listening: str, port: int) -> str:
    """The address, with the `port`, at which a server that was reached at the address
    `listening` can be reached by others, where connections leave from `outgoing`."""
    if listening == "::":
        # `serve` on all interfaces, for both versions of IP.
        return _joined(outgoing, port)
    # A socket for both versions of IP writes version 4 as ::ffff:192.0.2.1.
    version_6 = ":" in listening and not listening.startswith("::ffff:")
    return _joined(outgoing if version_6 == (":" in outgoing) else listening, port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
