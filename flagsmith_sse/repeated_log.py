"""What any client can cause is logged once a second."""

import logging
from typing import Final

from flagsmith_sse.background_log import count_dropped
from realtime.rate_limit import RateLimit

CAUSED_BY_CLIENTS: Final = ("django.request", "django.security", "daphne", "uvicorn")
"""Loggers that write a line for a request, and those below them."""


class RepeatedFilter(logging.Filter):
    """Drops what the same line of code has logged within a second, and counts it. The
    messages themselves may be made up by clients."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = RateLimit(1)

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(CAUSED_BY_CLIENTS):
            return True
        if self._limit.count((record.pathname, record.lineno)):
            return True
        count_dropped("repeated")
        return False
