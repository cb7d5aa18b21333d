"""Where a request came from, through the proxies in front."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

EVERYONE = "*"

LONGEST: Final = 64
"""Characters: an IPv6 address has 39 at most, and may name an interface."""

REMEMBERED: Final = 1024
"""Addresses: to read one takes some microseconds, and whoever floods us comes from
few."""


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` counts: `allowed` are IP addresses and
    networks, or `*`, which is everyone."""

    def __init__(self, allowed: Iterable[str]) -> None:
        allowed = tuple(allowed)
        self._everyone = EVERYONE in allowed
        self._networks = [ip_network(item) for item in allowed if item != EVERYONE]

    def trusts(self, address: str) -> bool:
        """Whether `address`, an IP address or empty, is one of them."""
        if self._everyone:
            return True
        peer = _parsed(address)
        return peer is not None and any(peer in item for item in self._networks)

    def client(self, scope: Mapping[str, Any]) -> str:
        """The address that the request in `scope`, an ASGI scope, came from, as it is
        written most shortly, so that one host has one; empty if that is a Unix socket.

        Each proxy adds the address that it saw to the end of `X-Forwarded-For`, so that
        whatever stands before the first one that is not trusted may be made up.
        """
        peer = scope.get("client")
        address: str = peer[0] if peer else ""
        for hop in reversed(_forwarded_for(scope)):
            if not self.trusts(address) or _parsed(hop) is None:
                break
            address = hop
        return _normalised(address)


def _forwarded_for(scope: Mapping[str, Any]) -> list[str]:
    values = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in b",".join(values).decode("latin-1").split(",")]


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    # A client may make it up, of any length.
    return _read(address) if len(address) <= LONGEST else None


@lru_cache(REMEMBERED)
def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return parsed
    # A dual-stack socket sees IPv4 peers as ::ffff:192.0.2.1. The name of an interface
    # after the address says nothing elsewhere, and may be made up.
    return parsed.ipv4_mapped or IPv6Address(int(parsed))


def _normalised(address: str) -> str:
    parsed = _parsed(address)
    return address if parsed is None else str(parsed)
