"""Whether NATS can be used, for those who want to know before they serve."""

from typing import Final

import nats.js.errors

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.connection import close, connect
from realtime.jetstream.stream import STREAM, call_api

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0
"""Nobody waits for updates meanwhile, and the network may be a slow one."""


async def ask_jetstream(settings: RealtimeSettings) -> None:
    """Connect as an instance does and ask for the stream, which need not exist yet.

    Raises `NatsUnavailable` with the reason if an instance could not start like this.
    """
    client = await connect(settings, on_closed=_on_closed, seconds=CONNECT_SECONDS)
    try:
        await call_api(client, f"STREAM.INFO.{STREAM}", seconds=ANSWER_SECONDS)
    except nats.js.errors.NotFoundError:
        pass  # the first instance creates it
    except nats.js.errors.APIError as error:
        raise NatsUnavailable(f"JetStream refuses: {error.description}") from error
    finally:
        await close(client)


async def _on_closed() -> None:
    """The question hears of it by its time-out."""
