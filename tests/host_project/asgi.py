"""The project's server: Django, the real-time endpoints, and a WebSocket of its own
that is told of updates by the channel layer."""

import os
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host_project.settings")
django_application = get_asgi_application()

from realtime.conf import RealtimeSettings  # noqa: E402  Django is set up first
from realtime.groups import group_of  # noqa: E402
from realtime.hosting import host  # noqa: E402
from realtime.service import RealtimeService  # noqa: E402


class UpdatesConsumer(AsyncJsonWebsocketConsumer):
    """`/<environment>`: every update of the environment as JSON."""

    async def connect(self) -> None:
        self.groups = [group_of(self.scope["path"].strip("/"))]
        assert self.channel_layer is not None
        for group in self.groups:
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def environment_updated(self, message: dict[str, Any]) -> None:
        await self.send_json(message)


service = RealtimeService(RealtimeSettings.from_django())
application = host(service, django_application, websocket=UpdatesConsumer.as_asgi())
