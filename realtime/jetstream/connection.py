"""A connection to NATS, as the settings ask for it."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import unquote

import nats.errors
import structlog
from nats.aio.client import Client

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.client import FastClient
from realtime.jetstream.servers import Server, servers_of

logger = structlog.get_logger("sse")

CONNECT_SECONDS: Final = 2
CLOSE_SECONDS: Final = 2
PING_SECONDS: Final = 2
MAX_PINGS: Final = 2
"""A server that answers no ping is given up after 6 s: the limit is 10."""

MAX_NAMED: Final = 5
"""Servers that a message names: the usual cluster has three."""


async def connect(
    settings: RealtimeSettings,
    *,
    on_closed: Callable[[], Awaitable[None]],
    last_resort: str | None = None,
    seconds: float | None = None,
) -> FastClient:
    """One attempt at each server, in any order, all within `seconds` if given; whoever
    calls decides about the next one. A name with several addresses is as many servers.

    `last_resort` is the `server` of an earlier connection, to be tried after all
    others.

    nats-py's own reconnection is off: it would hold publishes back to send them later,
    long after they were answered, and knows no jitter. Nor does it choose the server:
    it would look no further than one that accepts connections and then hangs.

    Raises `NatsUnavailable` with the addresses and the reasons, without the URLs, which
    may hold a secret.
    """
    until = asyncio.get_running_loop().time() + seconds if seconds else None
    servers, unresolved = await servers_of(settings.nats_servers, last_resort, seconds)
    refused: defaultdict[str, list[str]] = defaultdict(list)
    options = _options(settings)
    for position, server in enumerate(servers):
        # nats-py tries it twice.
        own = 2.0 * CONNECT_SECONDS
        if until is not None:
            left = until - asyncio.get_running_loop().time()
            own = left / (len(servers) - position)
        try:
            return await _connect(server, options, on_closed=on_closed, seconds=own)
        except NatsUnavailable as error:
            refused[str(error)].append(server.label)
    raise NatsUnavailable(_failure(refused, unresolved))


@asynccontextmanager
async def connected(
    settings: RealtimeSettings, seconds: float
) -> AsyncIterator[FastClient]:
    """A connection for one purpose, closed after it; to be made within `seconds`.
    Raises `NatsUnavailable`."""
    client = await connect(settings, on_closed=_on_closed, seconds=seconds)
    try:
        yield client
    finally:
        await close(client)


async def _on_closed() -> None:
    """Whoever waits for an answer hears of it by the time-out."""


def _failure(refused: Mapping[str, list[str]], unresolved: Sequence[str]) -> str:
    """That no server was reached: where it was tried, by the reason, and what is wrong
    with names that have no address."""
    tried = [f"at {_listed(sorted(refused[why]))}: {why}" for why in sorted(refused)]
    separator = " " if tried else ": "
    return f"Cannot connect to NATS{separator}{'; '.join((*tried, *unresolved))}"


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - MAX_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return ", ".join(labels[:MAX_NAMED]) + rest


async def _connect(
    server: Server,
    options: dict[str, Any],
    *,
    on_closed: Callable[[], Awaitable[None]],
    seconds: float,
) -> FastClient:
    """One attempt, for so many `seconds`. Raises `NatsUnavailable` with nothing but the
    reason."""
    client = FastClient(server.label)
    last_error: Exception | None = None

    async def remember(error: Exception) -> None:
        nonlocal last_error
        last_error = error

    try:
        async with asyncio.timeout(seconds):
            await client.connect(
                server.url,
                tls_hostname=server.host,
                name="flagsmith-sse",
                allow_reconnect=False,
                connect_timeout=CONNECT_SECONDS,
                reconnect_time_wait=0,
                max_reconnect_attempts=1,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=MAX_PINGS,
                pending_size=0,
                error_cb=remember,
                closed_cb=on_closed,
                **options,
            )
    except asyncio.CancelledError:
        await close(client)
        raise
    except Exception as error:
        # Of credentials that are half written, whatever nkeys makes of them.
        if client.is_connecting or client.is_connected:
            await close(client)
        cause = last_error if isinstance(error, nats.errors.NoServersError) else error
        if cause is None or isinstance(cause, (OSError, nats.errors.Error)):
            raise NatsUnavailable(describe(cause)) from error
        # Not what it says, which may be of the secret.
        raise NatsUnavailable(
            f"NATS_CREDENTIALS_FILE cannot be used ({type(cause).__name__})"
            if "user_credentials" in options
            else type(cause).__name__
        ) from error
    return client


async def close(client: Client) -> None:
    """Close the connection; a server or a TLS handshake that hangs is left behind."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except (nats.errors.Error, OSError, TimeoutError) as error:
        logger.debug("nats.close_failed", error=describe(error))


def _options(settings: RealtimeSettings) -> dict[str, Any]:
    """What nats-py takes of who we are. Raises `NatsUnavailable`."""
    options = _credentials(settings.nats_servers)
    if settings.nats_credentials_file:
        options["user_credentials"] = settings.nats_credentials_file
    if tls := _tls_context(settings):
        options["tls"] = tls
    return options


def _credentials(servers: Sequence[str]) -> dict[str, Any]:
    """The user and password, or the token, of the first URL that holds any.

    nats-py takes them from the URLs too, but leaves `%40` as it is.
    """
    for server in servers:
        userinfo, at, _ = server.partition("://")[2].rpartition("@")
        if not at:
            continue
        user, colon, password = userinfo.partition(":")
        if colon:
            return {"user": unquote(user), "password": unquote(password)}
        return {"token": unquote(user)}
    return {}


def describe(error: Exception | None) -> str:
    """What nats-py or the operating system says, in a few words."""
    if error is None:
        return "no server answered"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__


def _tls_context(settings: RealtimeSettings) -> ssl.SSLContext | None:
    """None leaves it to nats-py, which uses the system's authorities for `tls://`.
    Raises `NatsUnavailable`: the files may just be being replaced."""
    if not (settings.nats_tls_ca_file or settings.nats_tls_cert_file):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.nats_tls_ca_file or None)
    except (OSError, ValueError) as error:
        raise NatsUnavailable(
            f"NATS_TLS_CA_FILE cannot be used: {describe(error)}"
        ) from error
    if settings.nats_tls_cert_file:
        try:
            context.load_cert_chain(
                settings.nats_tls_cert_file,
                settings.nats_tls_key_file or None,
                password=_no_password,
            )
        except (OSError, ValueError) as error:
            raise NatsUnavailable(
                "NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE cannot be used: "
                f"{describe(error)}"
            ) from error
    return context


def _no_password() -> str:
    """Otherwise OpenSSL would ask for one on the terminal, and wait."""
    return ""
