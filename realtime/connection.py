"""A connection to NATS, as the settings ask for it."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote

import nats.errors
import structlog
from nats.aio.client import Client

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.nats_client import FastClient

logger = structlog.get_logger("sse")

DEFAULT_PORT: Final = 4222
CONNECT_SECONDS: Final = 2
CLOSE_SECONDS: Final = 2
PING_SECONDS: Final = 2
MAX_PINGS: Final = 2
"""A server that answers no ping is given up after 6 s: the limit is 10."""


async def connect(
    settings: RealtimeSettings,
    *,
    on_closed: Callable[[], Awaitable[None]],
    last_resort: str | None = None,
    seconds: float | None = None,
) -> FastClient:
    """One attempt at each server, in any order, all within `seconds` if given; whoever
    calls decides about the next one.

    `last_resort` is the server (host and port) to
    be tried after all others.

    nats-py's own reconnection is off: it would hold publishes back to send them later,
    long after they were answered, and knows no jitter. Nor does it choose the server:
    it would look no further than one that accepts connections and then hangs.

    Raises `NatsUnavailable` with the reason, without the URL, which may hold a secret.
    """
    servers = _in_random_order(settings.nats_servers, last_resort)
    error = NatsUnavailable("There is no server to connect to.")
    for server in servers:
        try:
            return await _connect(
                settings,
                server,
                on_closed=on_closed,
                # nats-py tries it twice.
                seconds=seconds / len(servers) if seconds else 2 * CONNECT_SECONDS,
            )
        except NatsUnavailable as unavailable:
            error = unavailable
    raise error


async def _connect(
    settings: RealtimeSettings,
    server: str,
    *,
    on_closed: Callable[[], Awaitable[None]],
    seconds: float,
) -> FastClient:
    client = FastClient()
    last_error: Exception | None = None

    async def remember(error: Exception) -> None:
        nonlocal last_error
        last_error = error

    options = _credentials(settings.nats_servers)
    if settings.nats_credentials_file:
        options["user_credentials"] = settings.nats_credentials_file
    if tls := _tls_context(settings):
        options["tls"] = tls
    try:
        async with asyncio.timeout(seconds):
            await client.connect(
                server,
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
    except (OSError, nats.errors.Error, TimeoutError, ValueError) as error:
        if client.is_connecting or client.is_connected:
            await close(client)
        cause = last_error if isinstance(error, nats.errors.NoServersError) else error
        raise NatsUnavailable(f"Cannot connect to NATS: {describe(cause)}") from error
    return client


async def close(client: Client) -> None:
    """Close the connection; a server or a TLS handshake that hangs is left behind."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except (nats.errors.Error, OSError, TimeoutError) as error:
        logger.debug("nats.close_failed", error=describe(error))


def _in_random_order(servers: Sequence[str], last_resort: str | None) -> list[str]:
    def comes_last(server: str) -> bool:
        address = server.rpartition("://")[2].rpartition("@")[2].rstrip("/")
        return last_resort in (address, f"{address}:{DEFAULT_PORT}")

    return sorted(random.sample(servers, len(servers)), key=comes_last)


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
    """None leaves it to nats-py, which uses the system's authorities for `tls://`."""
    if not (settings.nats_tls_ca_file or settings.nats_tls_cert_file):
        return None
    context = ssl.create_default_context(cafile=settings.nats_tls_ca_file or None)
    if settings.nats_tls_cert_file:
        context.load_cert_chain(
            settings.nats_tls_cert_file, settings.nats_tls_key_file or None
        )
    return context
