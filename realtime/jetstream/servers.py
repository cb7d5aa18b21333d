"""The servers that the URLs in NATS_URL stand for: a name with several addresses is as
many servers."""

import asyncio
import random
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

DEFAULT_PORT: Final = 4222
RESOLVE_SECONDS: Final = 2.0
"""A resolver that hangs is given up."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server at one address, which is to prove that it is `host`."""

    scheme: str
    host: str
    port: int
    address: str
    label: str
    """What people call it: the host and the port, and the address where the host has
    several."""

    @property
    def url(self) -> str:
        """Without the user, who is told apart."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{host}:{self.port}"


async def servers_of(
    urls: Sequence[str], last_resort: str | None, seconds: float | None
) -> tuple[list[Server], list[str]]:
    """The servers in random order, but `last_resort` (a label) last; and why some of
    the `urls` stand for none. Of `seconds`, if given, looking up takes half at most."""
    limit = min(seconds / 2, RESOLVE_SECONDS) if seconds else RESOLVE_SECONDS
    found = await asyncio.gather(*(_resolve(url, limit) for url in urls))
    servers = [server for one in found if not isinstance(one, str) for server in one]
    random.shuffle(servers)
    servers.sort(key=lambda server: server.label == last_resort)
    return servers, [one for one in found if isinstance(one, str)]


async def _resolve(url: str, seconds: float) -> list[Server] | str:
    scheme, host, port = split(url)
    label = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(seconds):
            addresses = await _addresses(host, port)
    except TimeoutError:
        return f"nobody says what address {host} has"
    except (OSError, UnicodeError, RuntimeError) as error:
        # The interpreter ends, and no thread looks it up any more: a RuntimeError.
        return f"{host} has no address: {error}"
    if len(addresses) == 1:
        return [Server(scheme, host, port, addresses[0], label)]
    return [
        Server(scheme, host, port, address, f"{label} ({address})")
        for address in addresses
    ]


async def _addresses(host: str, port: int) -> list[str]:
    """Raises `OSError` and `UnicodeError`."""
    with suppress(ValueError):
        return [str(ip_address(host))]
    entries: Future[list[Any]] = Future()

    def look_up() -> None:
        # Who has given up waiting has cancelled it.
        with suppress(InvalidStateError):
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                entries.set_result(found)
            except (OSError, UnicodeError) as error:
                entries.set_exception(error)

    # Not one of the event loop's threads, which a process waits for when it ends: a
    # resolver may hang for half a minute.
    threading.Thread(target=look_up, name=f"resolve-{host}", daemon=True).start()
    found = await asyncio.wrap_future(entries)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def split(url: str) -> tuple[str, str, int]:
    """The scheme, the host and the port of one of NATS_URL's URLs. What else stands in
    it may hold any character of a password."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "nats", url
    parts = urlsplit(f"//{rest.rpartition('@')[2]}")
    return scheme, parts.hostname or "", parts.port or DEFAULT_PORT
