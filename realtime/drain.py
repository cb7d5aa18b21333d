"""Draining one instance of the fleet."""

from realtime.conf import RealtimeSettings
from realtime.inquiry import ANSWER_SECONDS, inquiry, nats_client
from realtime.report import DRAIN, Sighting
from realtime.service import RealtimeService


async def drain_instance(
    settings: RealtimeSettings, instance: str, service: RealtimeService | None = None
) -> bool:
    """Tell `instance` to end its streams one after the other and to stop, as on
    SIGTERM; whether it has answered that it will. `service` is this process's own, if
    it runs one. Raises `NatsUnavailable`."""
    async with nats_client(settings, service) as client, inquiry(client) as question:
        await question.ask(f"{DRAIN}.{instance}")
        return bool(await question.collect(Sighting, bool, ANSWER_SECONDS))
