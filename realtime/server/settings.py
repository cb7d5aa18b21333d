"""The settings of the server that `serve` runs, and where others find it."""

import re
from typing import Any, Final

from realtime.setting import Setting, address, explained, listed, text

LISTEN_ADDR: Final = explained(
    address("LISTEN_ADDR", ":8088", ":8088"),
    "Where `serve` listens; without a host, on all interfaces.",
)
METRICS_ADDR: Final = explained(
    address("METRICS_ADDR", "", ":9100"),
    "Where `/metricsz` is served instead of on the public port.",
)
WORKERS: Final = explained(
    text(
        "SSE_WORKERS",
        "0",
        "a whole number up to 1024, or auto",
        r"auto|0|[1-9]\d{0,2}|10[01]\d|102[0-4]",
        shown=True,
    ),
    "How many processes `serve` runs on the port, with a supervisor that replaces "
    "those that die or hang, and all of them on SIGHUP; `auto`: one for each processor "
    "it may use; `0`: none, it serves from its own process.",
)
SERVER_BASE_URL: Final = explained(
    text(
        "SSE_SERVER_BASE_URL",
        "http://localhost:8088",
        "an http:// or https:// URL",
        r"https?://[^/\s]+\S*",
    ),
    "Where the commands that are clients find the service.",
)
PUBLIC_URLS: Final = explained(
    listed(
        "SSE_PUBLIC_URLS",
        "",
        "http:// or https:// URLs separated by commas",
        re.compile(r"https?://[^/\s,]+[^\s,]*").fullmatch,
    ),
    "Where clients reach the service, for [probes](admin.md#probe) from the admin: "
    "they send the secret to these addresses, besides `SSE_SERVER_BASE_URL` and the "
    "page's own if that is certain to be the service's.",
)
SETTINGS: Final[tuple[Setting[Any], ...]] = (
    WORKERS,
    LISTEN_ADDR,
    METRICS_ADDR,
    SERVER_BASE_URL,
    PUBLIC_URLS,
)
