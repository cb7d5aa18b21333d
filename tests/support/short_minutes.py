"""The service's settings where a minute of its history is over in `MINUTE_SECONDS`:
`DJANGO_SETTINGS_MODULE=tests.support.short_minutes`."""

import os

from flagsmith_sse.settings import *  # noqa: F403  Django's way to extend settings
from realtime.fleet.history import minutes

# What tests do not wait for.
minutes.MINUTE_SECONDS = float(os.environ["MINUTE_SECONDS"])  # type: ignore[misc]
