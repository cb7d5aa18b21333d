"""Publishes updates over one connection, as the task processor does."""

import http.client
import threading
import time
from collections.abc import Callable
from typing import Final

from realtime.loadtest.options import LoadTestFailed, LoadTestOptions
from realtime.loadtest.results import Results

TIMEOUT_SECONDS: Final = 10


class Publisher(threading.Thread):
    """Publishes at `interval` for `duration`, then ends.

    Each update is the time at which it is sent: a JSON number of Unix seconds with
    microseconds, greater than the one before. `announce` is called from the thread,
    with every update that was accepted and the number of its environment: they take
    turns. `results` gets to know how many were, and why the others were not.
    """

    def __init__(
        self,
        options: LoadTestOptions,
        results: Results,
        announce: Callable[[float, int], None],
    ) -> None:
        super().__init__(name="publisher", daemon=True)
        self._options = options
        self._results = results
        self._announce = announce
        self._client = _Client(options)
        self._stop_asked = threading.Event()
        self._last = 0

    def run(self) -> None:
        start = time.monotonic()
        number = 0
        while number == 0 or number * self._options.interval < self._options.duration:
            due = start + number * self._options.interval
            if self._stop_asked.wait(max(0, due - time.monotonic())):
                return
            self._publish(number % len(self._options.queue_changes))
            number += 1
        end = start + self._options.duration
        self._stop_asked.wait(max(0, end - time.monotonic()))

    def stop(self) -> None:
        self._stop_asked.set()

    def _publish(self, environment: int) -> None:
        self._last = max(self._last + 1, time.time_ns() // 1000)
        value = f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"
        try:
            status, _ = self._client.post(environment, f'{{"updated_at":{value}}}')
        except (OSError, http.client.HTTPException) as error:
            self._results.failures[_reason(error)] += 1
            return
        if status >= 300:
            self._results.failures[str(status)] += 1
            return
        self._results.published += 1
        self._announce(float(value), environment)


def check_token(options: LoadTestOptions) -> None:
    """Ask the service with a body that it cannot take, to publish nothing.

    Raises `LoadTestFailed` if it would refuse any update, or does not answer.
    """
    url = options.queue_changes[0].text
    try:
        status, body = _Client(options).post(0, "{}")
    except (OSError, http.client.HTTPException) as error:
        raise LoadTestFailed(f"Cannot reach {url}: {_reason(error)}") from None
    # 400 and 422 are about the body, and a 5xx may be over soon.
    if 300 <= status < 500 and status not in (400, 422):
        answer = body.decode(errors="replace")
        raise LoadTestFailed(f"{url} answered {status}: {answer}")


class _Client:
    """One connection, made anew when the service has ended it."""

    def __init__(self, options: LoadTestOptions) -> None:
        url = options.queue_changes[0]
        kind = http.client.HTTPSConnection if url.tls else http.client.HTTPConnection
        self._connection = kind(url.host, url.port, timeout=TIMEOUT_SECONDS)
        self._paths = [one.path for one in options.queue_changes]
        self._headers = {
            "Host": url.authority,
            "Authorization": f"Token {options.token}",
            "Content-Type": "application/json",
        }

    def post(self, environment: int, body: str) -> tuple[int, bytes]:
        """Status and body of the answer, for the environment of that number. Raises
        `OSError` and `HTTPException`."""
        is_new = self._connection.sock is None
        try:
            self._connection.request(
                "POST", self._paths[environment], body.encode(), self._headers
            )
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            # Servers end connections that were idle for some seconds.
            if is_new or not isinstance(
                error, (ConnectionError, http.client.BadStatusLine)
            ):
                raise
            return self.post(environment, body)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
