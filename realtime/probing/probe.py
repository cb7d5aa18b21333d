"""One probe: a stream is opened, an update is published, and both come together."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from realtime import __version__
from realtime.http.update_lines import UpdateLines
from realtime.http.url import HttpUrl, endpoint
from realtime.probing.faults import (
    BUFFERED,
    connection_fault,
    ending_fault,
    status_fault,
)
from realtime.probing.http_connection import HttpConnection, HttpResponse, connect
from realtime.probing.result import Fault, Hop, Result, took

TIMEOUT_SECONDS: Final = 10.0
"""For each hop. A stream that cannot be served is held for up to 3 s before its 503."""

KEPT_HEADER: Final = "flagsmith-sse-kept"
"""Of a 202 to an update that is not stored yet."""

ReadSurvey = Callable[[str, str, float], Awaitable[Hop]]
"""Asks the instances whether they have read the update of an environment (its key, the
update's `updated_at`, and when it was sent by `time.monotonic()`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`url` is the service's base URL, `environment` the one to use, `seconds` how long
    each hop may take. `addresses` are where to connect to, instead of those of the
    URL's host; `kind` is what the client calls itself."""

    url: str
    token: str = field(repr=False)
    environment: str
    seconds: float = TIMEOUT_SECONDS
    addresses: Sequence[str] = ()
    kind: str = "probe"


class _Failed(Exception):
    """At the hop so called; what failed, and what to do."""

    def __init__(self, hop: str, what: str, advice: str) -> None:
        super().__init__(what)
        self.fault = Fault(hop, what, advice)


async def run_probe(plan: Plan, read_survey: ReadSurvey | None = None) -> Result:
    """Try it; a failure is told in the result. `read_survey` asks the instances, where
    they can be asked. Raises `ValueError` if the plan's URL is none."""
    probe = _Probe(plan, read_survey)
    fault = None
    try:
        await probe.run()
    except _Failed as failed:
        fault = failed.fault
    return Result(
        ok=fault is None,
        url=plan.url,
        environment=plan.environment,
        hops=tuple(probe.hops),
        fault=fault,
        seconds=probe.seconds,
    )


class _UpdateStream:
    """The updates on an open stream."""

    def __init__(self, response: HttpResponse) -> None:
        self._pieces = response.pieces()
        self._lines = UpdateLines()

    async def next(self) -> list[float]:
        """The updates that the next piece completes. Raises `EOFError` at the stream's
        end, and `OSError`."""
        try:
            return self._lines.feed(await anext(self._pieces))
        except StopAsyncIteration:
            raise EOFError from None


class _Probe:
    """The hops of one probe, as far as it has come."""

    def __init__(self, plan: Plan, read_survey: ReadSurvey | None) -> None:
        self._plan = plan
        self._read_survey = read_survey
        self._stream_url, self._publish_url = (
            HttpUrl.parse(endpoint(plan.url, plan.environment, name))
            for name in ("stream", "queue-change")
        )
        self._where = self._stream_url.authority
        self._agent = {"User-Agent": f"flagsmith-sse-{plan.kind}/{__version__}"}
        self._before: list[float] = []
        self._sent_at = 0.0
        """When the latest request was: in the end, that of the update."""
        self.hops: list[Hop] = []
        self.seconds: float | None = None

    async def run(self) -> None:
        """Raises `_Failed`."""
        with closing(await self._connect("stream", self._stream_url)) as connection:
            stream = await self._open(connection)
            updated_at = f"{time.time():.6f}"
            # It may arrive before its own 202.
            arrival = asyncio.ensure_future(self._arrival(stream, updated_at))
            try:
                await self._publish(updated_at)
                if self._read_survey is not None:
                    self.hops.append(
                        await self._read_survey(
                            self._plan.environment, updated_at, self._sent_at
                        )
                    )
                await self._receive(arrival)
                self._check_read()
            finally:
                arrival.cancel()
                await asyncio.gather(arrival, return_exceptions=True)

    async def _connect(self, hop: str, url: HttpUrl) -> HttpConnection:
        seconds = self._plan.seconds
        try:
            async with asyncio.timeout(seconds):
                return await connect(url, self._plan.addresses)
        except OSError as error:  # a `TimeoutError` is one
            raise _Failed(hop, *connection_fault(error, url, seconds)) from None

    async def _open(self, connection: HttpConnection) -> _UpdateStream:
        """Until the first bytes of the stream, which are sent at once."""
        self._sent_at = time.monotonic()
        headers = {"Accept": "text/event-stream", **self._agent}
        came = "Nothing of the stream's response"
        try:
            async with asyncio.timeout(self._plan.seconds):
                response = await connection.request("GET", headers)
                kind = response.header("content-type").partition(";")[0].strip()
                if response.status != HTTPStatus.OK or kind != "text/event-stream":
                    raise await self._refused("stream", "The stream", response)
                came = "The head of the stream's response, but none of its bytes,"
                stream = _UpdateStream(response)
                self._before = await stream.next()
        except TimeoutError:
            raise _Failed(
                "stream",
                f"{came} came from {self._where} within {self._plan.seconds:g} s.",
                f"{BUFFERED} Or the service hangs: ask /livez.",
            ) from None
        except (EOFError, OSError) as error:
            raise _Failed("stream", *ending_fault(error, self._where)) from None
        self._note("stream", "stream open", time.monotonic() - self._sent_at)
        return stream

    async def _publish(self, updated_at: str) -> None:
        headers = {
            "Authorization": f"Token {self._plan.token}",
            "Content-Type": "application/json",
            "Connection": "close",
            **self._agent,
        }
        with closing(await self._connect("publish", self._publish_url)) as connection:
            self._sent_at = time.monotonic()
            body = b'{"updated_at":%s}' % updated_at.encode()
            try:
                async with asyncio.timeout(self._plan.seconds):
                    answer = await connection.request("POST", headers, body)
                    if answer.status != HTTPStatus.ACCEPTED:
                        raise await self._refused("publish", "The update", answer)
            except TimeoutError:
                raise _Failed(
                    "publish",
                    f"The update was not answered within {self._plan.seconds:g} s.",
                    "The service does so within 2 s: the proxy does not pass it on.",
                ) from None
            except (EOFError, OSError) as error:
                raise _Failed("publish", *ending_fault(error, self._where)) from None
        seconds = time.monotonic() - self._sent_at
        if answer.header(KEPT_HEADER):
            self._note("publish", "202, not stored yet,", seconds, ok=False)
            raise _Failed(
                "publish",
                "The update is kept until NATS can store it: nobody is told before.",
                "Ask the instances why: manage.py fleet.",
            )
        self._note("publish", "202", seconds)

    async def _arrival(self, stream: _UpdateStream, updated_at: str) -> float:
        """When the update came: or a later one that took its place, where the same
        environment is probed twice at a time."""
        mine = float(updated_at)
        while True:
            for value in await stream.next():
                if value >= mine and value not in self._before:
                    return time.monotonic()

    async def _receive(self, arrival: "asyncio.Task[float]") -> None:
        limit = self._plan.seconds
        try:
            async with asyncio.timeout(limit):
                arrived_at = await arrival
        except TimeoutError:
            self._check_read()
            raise _Failed(
                "received",
                f"No event came within {limit:g} s of the 202.",
                f"{BUFFERED} Or the instance does not read: see manage.py fleet.",
            ) from None
        except (EOFError, OSError) as error:
            raise _Failed("received", *ending_fault(error, self._where)) from None
        self.seconds = arrived_at - self._sent_at
        self._note("received", f"received at {self._where}", self.seconds)

    def _check_read(self) -> None:
        for hop in self.hops:
            if hop.name == "read" and hop.ok is False:
                raise _Failed(
                    "read",
                    f"The update was {hop.text}.",
                    "The clients of the others are not told: manage.py fleet tells "
                    "which do not answer, or are behind.",
                )

    async def _refused(self, hop: str, subject: str, answer: HttpResponse) -> _Failed:
        what = f"stream: {answer.status}" if hop == "stream" else str(answer.status)
        self._note(hop, what, time.monotonic() - self._sent_at, ok=False)
        words = status_fault(
            subject,
            answer.status,
            await answer.body(),
            location=answer.header("location"),
            server=answer.header("server"),
        )
        return _Failed(hop, *words)

    def _note(self, hop: str, what: str, seconds: float, *, ok: bool = True) -> None:
        text = took(what, seconds)
        self.hops.append(Hop(name=hop, text=text, ok=ok, seconds=seconds))
