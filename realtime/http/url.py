"""The URL of a service that clients of ours connect to, and of its endpoints."""

import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit


def endpoint(base_url: str, environment: str, name: str) -> str:
    """The URL of `environment`'s endpoint `name`, whatever characters the key has."""
    key = quote(environment, safe="")
    return f"{base_url.rstrip('/')}/sse/environments/{key}/{name}"


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """`host` and `port` as in `text`, the URL; `path` has its query."""

    text: str
    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> "HttpUrl":
        """Raises `ValueError` with the reason if `text` is no HTTP URL."""
        if "://" not in text:
            raise ValueError(f"takes an http:// or https:// URL: http://{text}?")
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("takes an http:// or https:// URL")
        if not text.isprintable() or " " in text:
            raise ValueError("takes a URL without white space")
        tls = parts.scheme == "https"
        # Raises the same for what is no port.
        port = parts.port or (443 if tls else 80)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return cls(text, tls, parts.hostname, port, path)

    @property
    def authority(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def addresses(self) -> list[str]:
        """The host's IP addresses, IPv4 before IPv6: most proxies listen there. It may
        ask DNS. Raises `socket.gaierror`."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        ordered = sorted(found, key=lambda one: one[0])
        return list(dict.fromkeys(str(where[0]) for *_, where in ordered))
