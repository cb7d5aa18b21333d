"""Updates from one instance to another, over HTTP: what an instance that is cut off
from NATS was sent is stored by one that is not, and what an instance that stops has
still to store is kept by one that goes on.

The instances know each other's addresses by what they say of themselves over NATS.
Anybody who may publish there could name an address, so the secret itself is not sent:
it signs the update.
"""

import asyncio
import hashlib
import hmac
import http.client
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

import structlog
from msgspec import Meta, Struct, json

from realtime.intake.outbox import Kept
from realtime.updates import Identity

logger = structlog.get_logger("sse")

SIGNATURE_HEADER: Final = b"flagsmith-sse-signature"

TRIED: Final = 3
"""How many instances are asked before the update waits for the next round."""

SECONDS: Final = 0.5
"""For one instance to answer."""

RESIGNED_SECONDS: Final = 2.0
"""After nobody took an update, for how long nobody is asked."""


class Relayed(Struct, frozen=True, kw_only=True):
    """An update on its way from the instance `sender`.

    `updated_at`, `dated`, `known` and `since` are as in `Update` and `Kept`; `keep`
    says whether to keep it, where it cannot be stored now.
    """

    sender: Annotated[str, Meta(max_length=200)]
    updated_at: Annotated[str, Meta(max_length=500)]
    dated: bool
    known: Identity | None
    since: float
    keep: bool


def sign(secret: str, environment: str, body: bytes) -> str:
    """The signature of `body`, an update of `environment`."""
    message = environment.encode() + b"\n" + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def is_signed(
    secrets: Iterable[str], environment: str, body: bytes, signature: bytes
) -> bool:
    """Whether `signature` is that of one of `secrets`; in constant time."""
    equal = [
        hmac.compare_digest(sign(secret, environment, body).encode(), signature)
        for secret in secrets
    ]
    return any(equal)


class Relay:
    """Sends updates to other instances. `secret` signs them, `sender` is this
    instance's name, and `addresses` says where there are others (`HOST:PORT`)."""

    def __init__(
        self, secret: str, sender: str, addresses: Callable[[], Sequence[str]]
    ) -> None:
        self._secret = secret
        self._sender = sender
        self._addresses = addresses
        self._resigned_until = 0.0

    @property
    def is_promising(self) -> bool:
        """Whether there is somebody to ask, who has not just refused."""
        return time.monotonic() >= self._resigned_until and bool(self._addresses())

    async def store(self, kept: Kept) -> bool:
        """Have another instance store `kept`; whether one has."""
        if not self.is_promising:
            return False
        stored = await self._offer(kept, keep=False)
        if not stored:
            self._resigned_until = time.monotonic() + RESIGNED_SECONDS
        return stored

    async def hand_over(self, kept: Kept) -> bool:
        """Have another instance store or keep `kept`; whether one does."""
        return await self._offer(kept, keep=True)

    async def _offer(self, kept: Kept, *, keep: bool) -> bool:
        update = kept.update
        body = json.encode(
            Relayed(
                sender=self._sender,
                updated_at=update.updated_at,
                dated=update.dated,
                known=kept.known,
                since=kept.since,
                keep=keep,
            )
        )
        signature = sign(self._secret, update.environment, body)
        addresses = self._addresses()
        # For what would be lost otherwise there is no next round.
        tried = len(addresses) if keep else min(TRIED, len(addresses))
        for address in random.sample(addresses, tried):
            # http.client blocks; what it does is over within `SECONDS`.
            if await asyncio.to_thread(
                _post, address, update.environment, body, signature
            ):
                return True
        return False


def _post(address: str, environment: str, body: bytes, signature: str) -> bool:
    """Whether the instance at `address` took the update."""
    parts = urlsplit(f"//{address}")
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=SECONDS
    )
    headers = {
        "Content-Type": "application/json",
        SIGNATURE_HEADER.decode(): signature,
        "Connection": "close",
    }
    try:
        path = f"/sse/environments/{environment}/relay"
        connection.request("POST", path, body, headers)
        return connection.getresponse().status == http.HTTPStatus.ACCEPTED
    except (OSError, http.client.HTTPException) as error:
        logger.debug("relay.failed", address=address, reason=str(error))
        return False
    finally:
        connection.close()
