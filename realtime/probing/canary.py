"""The canary: an instance probes itself, for ever, over its own listener."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

import structlog

from realtime import metrics
from realtime.backoff import jittered
from realtime.environments import probe_environment
from realtime.lifecycle import Refusal
from realtime.probing.probe import Plan, run_probe
from realtime.process import worker_number

logger = structlog.get_logger("sse")

HOP_SECONDS: Final = 5.0
"""A stream that cannot be served gets its 503 after 3 s, a publish within 2 s."""

LIMIT_SECONDS: Final = 10.0
"""For all hops together."""

Address = tuple[str, int]


class Canary:
    """Probes every `seconds`, give or take half, with `token`, one probe at a time.

    `where` says where this process listens (None: not known, or a Unix socket), and
    `refusal` why it would serve no stream now. It is no failure that an instance turns
    streams away because it drains, is full or has died: that is known otherwise. That
    NATS is away is one, for which nothing need be tried.
    """

    def __init__(
        self,
        *,
        seconds: float,
        token: str,
        where: Callable[[], Address | None],
        refusal: Callable[[], Refusal | None],
    ) -> None:
        self._seconds = seconds
        self._token = token
        self._where = where
        self._refusal = refusal
        self._limit: asyncio.Timeout | None = None
        self._stopped = False
        self._has_no_address = False
        self._fault: str | None = None

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            await asyncio.sleep(jittered(self._seconds))
            try:
                await self._once()
            except Exception as error:
                # No answer, however strange, may end the process that serves others.
                logger.exception("canary.broken")
                self._fail(repr(error))

    def stop(self) -> None:
        """End the probe under way, and begin no other: the process drains."""
        self._stopped = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def _once(self) -> None:
        refusal = self._refusal()
        if self._stopped or (refusal is not None and refusal.reason != "nats"):
            return
        if refusal is not None:
            self._fail(refusal.detail)
        elif (where := self._where()) is not None:
            await self._probe(where)
        elif not self._has_no_address:
            self._has_no_address = True
            logger.warning(
                "canary.unable",
                reason="where this process listens is not known: it is a Unix socket, "
                "or TLS, or nobody has asked it for anything yet",
            )

    async def _probe(self, where: Address) -> None:
        result = None
        try:
            async with asyncio.timeout(LIMIT_SECONDS) as self._limit:
                result = await run_probe(self._plan(where))
        except TimeoutError:
            pass
        finally:
            self._limit = None
        if self._stopped:
            return
        if result is None:
            self._fail(f"It took more than {LIMIT_SECONDS:g} s.")
        elif result.fault is not None or result.seconds is None:
            self._fail(str(result.fault))
        else:
            metrics.canary_duration_seconds.observe(result.seconds)
            if self._fault is not None:
                logger.info("canary.recovered")
            self._fault = None

    def _plan(self, where: Address) -> Plan:
        host, port = where
        return Plan(
            url=f"http://localhost:{port}",
            addresses=reachable_here(host),
            token=self._token,
            environment=probe_environment(
                *("canary", socket.gethostname(), port, worker_number())
            ),
            seconds=HOP_SECONDS,
            kind="canary",
        )

    def _fail(self, fault: str) -> None:
        metrics.canary_failures_total.inc()
        if self._fault is None:
            # Once, until it works again; the metric counts the others.
            logger.warning("canary.failed", reason=fault)
        self._fault = fault


def reachable_here(host: str) -> tuple[str, ...]:
    """The addresses at which this machine reaches what listens at the address
    `host`."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return (host,)
    # A socket for both versions of IP is there where IPv6 has no loopback, too.
    return ("127.0.0.1",) if address.version == 4 else ("::1", "127.0.0.1")
