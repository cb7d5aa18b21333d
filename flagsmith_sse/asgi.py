"""The ASGI application, for `manage.py serve` and for
`daphne flagsmith_sse.asgi:application`."""

import os
import sys

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.urls import re_path


def create_application() -> ProtocolTypeRouter:
    """Compose the application and the service behind it; `service` is kept as its
    attribute, for the server that hosts it.

    Raises `ImproperlyConfigured`, naming the variable at fault.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsmith_sse.settings")
    django.setup()

    from realtime.conf import RealtimeSettings
    from realtime.hosting import (
        Lifespan,
        ServiceMiddleware,
        host_on_daphne,
        refuse_websocket,
    )
    from realtime.routing import realtime_urlpatterns
    from realtime.service import RealtimeService

    service = RealtimeService(RealtimeSettings.from_django())
    routes = [*realtime_urlpatterns(), re_path("", get_asgi_application())]
    if "daphne.server" in sys.modules:
        host_on_daphne(service)
    router = ProtocolTypeRouter(
        {
            "http": ServiceMiddleware(service, URLRouter(routes)),
            "lifespan": Lifespan(service),
            "websocket": refuse_websocket,
        }
    )
    router.service = service
    return router


try:
    application = create_application()
except ImproperlyConfigured as error:
    # A server's command line would show a traceback.
    sys.exit(f"error: {error}")
