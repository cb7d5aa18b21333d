"""One probe: a stream is opened, an update is published, and both come together."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from realtime import __version__
from realtime.loadtest.target import Target, endpoint
from realtime.probing.exchange import Exchange, exchange
from realtime.probing.faults import BUFFERED, of_connecting, of_ending, of_status
from realtime.probing.result import Fault, Hop, Result, took

TIMEOUT_SECONDS: Final = 10.0
"""For each hop. A stream that cannot be served is held for up to 3 s before its 503."""

KEPT_HEADER: Final = "flagsmith-sse-kept"
"""Of a 202 to an update that is not stored yet."""

Readers = Callable[[str, str, float], Awaitable[Hop]]
"""Asks the instances whether they have read the update of an environment that is dated
so and was sent then (`time.monotonic()`), and tells of it."""


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


async def probe(plan: Plan, readers: Readers | None = None) -> Result:
    """Try it; a failure is told in the result. `readers` asks the instances, where they
    can be asked. Raises `ValueError` if the plan's URL is none."""
    course = _Course(plan, readers)
    fault = None
    try:
        await course.run()
    except _Failed as failed:
        fault = failed.fault
    return Result(
        url=plan.url,
        environment=plan.environment,
        hops=tuple(course.hops),
        fault=fault,
        seconds=course.seconds,
    )


class _Course:
    """The hops of one probe, as far as it has come."""

    def __init__(self, plan: Plan, readers: Readers | None) -> None:
        self._plan = plan
        self._readers = readers
        self._stream_target, self._publish_target = (
            Target.of(endpoint(plan.url, plan.environment, name))
            for name in ("stream", "queue-change")
        )
        self._where = self._stream_target.authority
        self._before: list[float] = []
        self._sent_at = 0.0
        self.hops: list[Hop] = []
        self.seconds: float | None = None

    async def run(self) -> None:
        """Raises `_Failed`."""
        async with self._exchange("stream", self._stream_target) as stream:
            await self._open(stream)
            updated_at = f"{time.time():.6f}"
            # It may arrive before its own 202.
            async with _running(self._arrival(stream, updated_at)) as arrival:
                await self._publish(updated_at)
                if self._readers is not None:
                    self.hops.append(
                        await self._readers(
                            self._plan.environment, updated_at, self._sent_at
                        )
                    )
                await self._receive(arrival)
                self._check_readers()

    @asynccontextmanager
    async def _exchange(self, hop: str, target: Target) -> AsyncIterator[Exchange]:
        plan = self._plan
        agent = f"flagsmith-sse-{plan.kind}/{__version__}"
        connecting = exchange(target, agent, plan.addresses)
        try:
            async with asyncio.timeout(plan.seconds):
                one = await connecting.__aenter__()
        except OSError as error:  # a `TimeoutError` is one
            raise _Failed(hop, *of_connecting(error, target, plan.seconds)) from None
        try:
            yield one
        finally:
            await connecting.__aexit__(None, None, None)

    async def _open(self, stream: Exchange) -> None:
        """Until the first bytes of the stream, which are sent at once."""
        began = time.monotonic()
        stream.send("GET", {"Accept": "text/event-stream"})
        came = "Nothing of the stream's response"
        try:
            async with asyncio.timeout(self._plan.seconds):
                await stream.head()
                kind = stream.header("content-type").partition(";")[0].strip()
                if stream.status != HTTPStatus.OK or kind != "text/event-stream":
                    raise await self._refused("stream", "The stream", stream, began)
                came = "The head of the stream's response, but none of its bytes,"
                self._before = await stream.updates()
        except TimeoutError:
            raise _Failed(
                "stream",
                f"{came} came from {self._where} within {self._plan.seconds:g} s.",
                f"{BUFFERED} Or the service hangs: ask /livez.",
            ) from None
        except (EOFError, OSError) as error:
            raise _Failed("stream", *of_ending(error, self._where)) from None
        self._note("stream", "stream open", began)

    async def _publish(self, updated_at: str) -> None:
        headers = {
            "Authorization": f"Token {self._plan.token}",
            "Content-Type": "application/json",
            "Connection": "close",
        }
        async with self._exchange("publish", self._publish_target) as one:
            self._sent_at = began = time.monotonic()
            one.send("POST", headers, b'{"updated_at":%s}' % updated_at.encode())
            try:
                async with asyncio.timeout(self._plan.seconds):
                    await one.head()
                    if one.status != HTTPStatus.ACCEPTED:
                        raise await self._refused("publish", "The update", one, began)
            except TimeoutError:
                raise _Failed(
                    "publish",
                    f"The update was not answered within {self._plan.seconds:g} s.",
                    "The service does so within 2 s: the proxy does not pass it on.",
                ) from None
            except (EOFError, OSError) as error:
                raise _Failed("publish", *of_ending(error, self._where)) from None
        if one.header(KEPT_HEADER):
            self._note("publish", "202, not stored yet,", began, ok=False)
            raise _Failed(
                "publish",
                "The update is kept until NATS can store it: nobody is told before.",
                "Ask the instances why: manage.py fleet.",
            )
        self._note("publish", "202", began)

    async def _arrival(self, stream: Exchange, updated_at: str) -> float:
        """When the update came: or a later one that took its place, where the same
        environment is probed twice at a time."""
        mine = float(updated_at)
        while True:
            for value in await stream.updates():
                if value >= mine and value not in self._before:
                    return time.monotonic()

    async def _receive(self, arrival: "asyncio.Task[float]") -> None:
        limit = self._plan.seconds
        try:
            async with asyncio.timeout(limit):
                arrived_at = await arrival
        except TimeoutError:
            self._check_readers()
            raise _Failed(
                "received",
                f"No event came within {limit:g} s of the 202.",
                f"{BUFFERED} Or the instance does not read: see manage.py fleet.",
            ) from None
        except (EOFError, OSError) as error:
            raise _Failed("received", *of_ending(error, self._where)) from None
        self.seconds = arrived_at - self._sent_at
        text = took(f"received at {self._where}", self.seconds)
        self.hops.append(Hop(name="received", text=text, seconds=self.seconds))

    def _check_readers(self) -> None:
        for hop in self.hops:
            if hop.name == "read" and hop.ok is False:
                raise _Failed(
                    "read",
                    f"The update was {hop.text}.",
                    "The clients of the others are not told: manage.py fleet tells "
                    "which do not answer, or are behind.",
                )

    async def _refused(
        self, hop: str, subject: str, one: Exchange, began: float
    ) -> _Failed:
        what = f"stream: {one.status}" if hop == "stream" else str(one.status)
        self._note(hop, what, began, ok=False)
        words = of_status(
            *(subject, one.status, await one.body()),
            location=one.header("location"),
            server=one.header("server"),
        )
        return _Failed(hop, *words)

    def _note(self, hop: str, what: str, began: float, *, ok: bool = True) -> None:
        seconds = time.monotonic() - began
        text = took(what, seconds)
        self.hops.append(Hop(name=hop, text=text, ok=ok, seconds=seconds))


@asynccontextmanager
async def _running(
    work: Coroutine[Any, Any, float],
) -> "AsyncIterator[asyncio.Task[float]]":
    """`work` in the background, and no longer than the block."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen, or of no interest: the block has failed before
