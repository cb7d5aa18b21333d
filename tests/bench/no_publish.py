"""The service's settings, with a publisher that confirms at once and publishes nothing:
what `queue-change` costs without JetStream."""

from flagsmith_sse.settings import *  # noqa: F403  Django's way to extend settings
from realtime.jetstream.publisher import Publisher
from realtime.updates import Update


async def confirm(
    self: Publisher, update: Update, deadline: float, *, after: int | None = None
) -> None:
    pass


Publisher.publish = confirm  # type: ignore[method-assign]  # the point of this module
