"""Whether NATS can be used, for those who want to know before they serve."""

from typing import Final

from realtime.conf import RealtimeSettings
from realtime.jetstream.connection import connected
from realtime.jetstream.stream_health import stream_info

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0
"""Nobody waits for updates meanwhile, and the network may be a slow one."""


async def ask_jetstream(settings: RealtimeSettings) -> None:
    """Connect as an instance does and ask for the stream. That need not exist yet: the
    first instance creates it.

    Raises `NatsUnavailable` with the reason if an instance could not start like this.
    """
    async with connected(settings, CONNECT_SECONDS) as client:
        await stream_info(client, ANSWER_SECONDS)
