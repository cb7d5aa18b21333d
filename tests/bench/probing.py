"""How long a client waits that comes anew while the service is busy."""

import http.client
import threading
import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 0.03
MOST_SECONDS: Final = 60


def p99_ms(waits: list[float]) -> float:
    """The 99th percentile of `waits` (seconds), in milliseconds."""
    ordered = sorted(waits)
    return 1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def while_running(port: int, work: Callable[[], object]) -> list[float]:
    """Ask for `/livez` on one new connection after the other while `work` runs; the
    seconds from connecting to each answer."""
    over = threading.Event()
    waits: list[float] = []

    def probe() -> None:
        while not over.is_set():
            began = time.monotonic()
            connection = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=MOST_SECONDS
            )
            connection.request("GET", "/livez")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            waits.append(time.monotonic() - began)
            over.wait(PAUSE_SECONDS)

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        work()
    finally:
        over.set()
        prober.join()
    return waits
