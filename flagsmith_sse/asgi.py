"""The ASGI application, for `manage.py serve` and for
`daphne flagsmith_sse.asgi:application`."""

import os
import sys
from typing import Any

import django
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured

from realtime.exceptions import RealtimeError
from realtime.server.signals import end_properly_on_daphne


def create_application() -> Any:
    """The service of this process, and the application in front of it.

    Raises `ImproperlyConfigured` or `CannotListen`, naming the variable at fault.
    """
    if "daphne.server" in sys.modules:
        end_properly_on_daphne()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsmith_sse.settings")
    django.setup()

    from flagsmith_sse.start_warnings import warn_at_start
    from realtime.conf import RealtimeSettings
    from realtime.hosting import host
    from realtime.monitoring.exposition import exposition
    from realtime.process import worker_number
    from realtime.server.metrics_port import start_metrics_server
    from realtime.service import RealtimeService

    service = RealtimeService(RealtimeSettings.from_django())
    if worker_number() is None:
        # Of several workers the supervisor answers for all.
        start_metrics_server(exposition)
        warn_at_start()
    return host(service, get_asgi_application(), probes=True)


try:
    application = create_application()
except (ImproperlyConfigured, RealtimeError) as error:
    # A server's command line would show a traceback.
    sys.exit(f"error: {error}")
