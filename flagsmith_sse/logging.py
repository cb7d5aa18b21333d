"""Structured logging with Flagsmith's own switches, `LOG_FORMAT` and `LOG_LEVEL`.

Everything goes through one handler of the standard library's kind, so that lines of
Django, uvicorn, Daphne and nats-py have the same shape as ours, and none blocks.
"""

import logging
from typing import Any, Final

import structlog

from flagsmith_sse.background_log import BackgroundHandler, count_dropped
from realtime.rate_limit import RateLimit

CAUSED_BY_CLIENTS: Final = ("django.request", "django.security", "daphne", "uvicorn")
"""Loggers that write a line for a request, and those below them."""

_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def escape_unprintable(
    logger: object, method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """A structlog processor: what comes from outside neither starts a line of its own
    nor commands a terminal."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(
                c if c.isprintable() else repr(c)[1:-1] for c in value
            )
    return event


class RepeatedFilter(logging.Filter):
    """Drops what the same line of code has logged within a second, and counts it, where
    any client can cause it. The messages themselves may be made up by clients."""

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


def configure_structlog() -> None:
    """Hand structlog's events to the standard library's loggers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_config(*, level: str, log_format: str) -> dict[str, Any]:
    """Django's `LOGGING` for `level` (a standard name) and `log_format` (`generic` for
    people, `json` for machines: one object a line)."""
    console = structlog.dev.ConsoleRenderer(
        colors=False,
        # Where rich is installed, the default prints local variables, and those may
        # hold a token.
        exception_formatter=structlog.dev.plain_traceback,
    )
    json = structlog.processors.JSONRenderer()
    renderers: dict[str, list[structlog.types.Processor]] = {
        "generic": [escape_unprintable, console],
        "json": [structlog.processors.format_exc_info, json],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *renderers[log_format],
                ],
            }
        },
        "filters": {"repeated": {"()": RepeatedFilter}},
        "handlers": {
            "stderr": {
                "()": BackgroundHandler,
                "formatter": "structured",
                "filters": ["repeated"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Its messages repeat what the bridge logs, with tracebacks.
            "nats": {"level": "CRITICAL"},
            "nats.aio.client": {"level": "CRITICAL"},
            # What it says of starting and stopping, ours says too.
            "uvicorn.error": {"level": "WARNING"},
            # One line a request would be a line a subscriber.
            "uvicorn.access": {"level": "WARNING"},
        },
    }
