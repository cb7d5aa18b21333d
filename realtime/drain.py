"""Draining one instance of the fleet."""

from realtime.conf import RealtimeSettings
from realtime.inquiry import ANSWER_SECONDS, inquiry, nats_client
from realtime.report import DRAIN, Sighting


async def drain_instance(settings: RealtimeSettings, instance: str) -> bool:
    """Tell `instance` to end its streams one after the other and to stop, as on
    SIGTERM; whether it has answered that it will. Raises `NatsUnavailable`."""
    async with nats_client(settings) as client, inquiry(client) as question:
        await question.ask(f"{DRAIN}.{instance}")
        return bool(await question.collect(Sighting, bool, ANSWER_SECONDS))
