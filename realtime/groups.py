"""Updates for other Channels consumers (a WebSocket, say): where the project has a
channel layer, each is also sent to the group of its environment."""

import asyncio
import hashlib
from typing import Any, Final

import structlog
from channels.layers import BaseChannelLayer

from realtime.updates import Update

logger = structlog.get_logger("sse")

PREFIX: Final = "environment."
SEND_SECONDS: Final = 5
"""A channel layer that takes longer is given up, for this update."""


def group_of(environment: str) -> str:
    """The group that is told of the updates of `environment` (a valid key):
    `environment.<key>`, or a digest where Channels takes no name of that length."""
    group = PREFIX + environment
    if len(group) < BaseChannelLayer.MAX_NAME_LENGTH:
        return group
    return f"environment-sha256.{hashlib.sha256(environment.encode()).hexdigest()}"


class GroupSender:
    """Sends updates to groups in the background; of each environment only the newest
    that waits, so that a slow channel layer costs no memory and delays no stream."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._waiting: dict[str, dict[str, Any]] = {}
        self._wake = asyncio.Event()

    def offer(self, update: Update, sequence: int) -> None:
        """Send it soon. `sequence` tells it from others: a layer that several processes
        share gets it from each of them."""
        self._waiting[update.environment] = {
            "type": "environment.updated",
            "environment": update.environment,
            "updated_at": update.seconds,
            "sequence": sequence,
        }
        self._wake.set()

    async def run(self) -> None:
        """Send for ever what is offered."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                environment = next(iter(self._waiting))
                await self._send(environment, self._waiting.pop(environment))

    async def _send(self, environment: str, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._layer.group_send(group_of(environment), message)
        except Exception as error:
            # Whatever a layer raises; Channels promises no delivery, and streams do
            # not depend on it.
            logger.warning(
                "group.send_failed",
                environment__key=environment,
                reason=str(error) or type(error).__name__,
            )
