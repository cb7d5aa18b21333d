"""Where the load goes: a URL taken apart, and its address."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

REACH_SECONDS = 5


def endpoint(base_url: str, environment: str, name: str) -> str:
    """The URL of `environment`'s endpoint `name`, whatever characters the key has."""
    key = quote(environment, safe="")
    return f"{base_url.rstrip('/')}/sse/environments/{key}/{name}"


@dataclass(frozen=True, slots=True)
class Target:
    """`host` and `port` as in the URL, `path` with its query."""

    url: str
    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> "Target":
        """Raises `ValueError` with the reason if `url` is no HTTP URL."""
        if "://" not in url:
            raise ValueError(f"takes an http:// or https:// URL: http://{url}?")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("takes an http:// or https:// URL")
        if not url.isprintable() or " " in url:
            raise ValueError("takes a URL without white space")
        tls = parts.scheme == "https"
        # Raises the same for what is no port.
        port = parts.port or (443 if tls else 80)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return cls(url, tls, parts.hostname, port, path)

    @property
    def authority(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def reachable(self) -> "Address":
        """The first of its addresses that accepts a connection, IPv4 before IPv6.

        Raises `OSError` if none does.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        error: OSError | None = None
        for family, _, _, _, where in sorted(found, key=lambda f: f[0]):
            address = Address(family, str(where[0]), self.port)
            try:
                socket.create_connection(
                    (address.ip, address.port), REACH_SECONDS
                ).close()
            except OSError as reason:
                error = reason
            else:
                return address
        raise error or OSError("it has no address")


@dataclass(frozen=True, slots=True)
class Address:
    """An address and port of TCP."""

    family: int
    ip: str
    port: int

    @property
    def is_ipv4_loopback(self) -> bool:
        address = ipaddress.ip_address(self.ip.partition("%")[0])
        return address.version == 4 and address.is_loopback
