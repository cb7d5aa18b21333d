"""Thousands of requests spoilt at random: none may be answered with a 5xx, leave a
traceback or a stream behind, reach another subject of NATS, or disturb anybody."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from random import Random

import nats as nats_py
import pytest
from nats.aio.msg import Msg

from realtime.jetstream.subjects import environment_of
from tests.support.malformed import LIVEZ, MALFORMED, QUEUE_CHANGE, STREAM, UPDATE
from tests.support.mutation import mutated
from tests.support.nats import NatsServer
from tests.support.raw_http import chunked
from tests.support.service import Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

SEEDS = (1, 2, 3)
"""One that found something stays here."""

REQUESTS = 1500
AT_ONCE = 20
ANSWER_SECONDS = 0.1
"""Most spoilt requests are answered at once, and some never: they lack their end."""

ORIGINALS = (
    *(LIVEZ, STREAM),
    QUEUE_CHANGE + b"Content-Length: %d\r\n\r\n" % len(UPDATE) + UPDATE,
    QUEUE_CHANGE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(UPDATE),
    b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metricsz HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /health/liveness/ HTTP/1.0\r\n\r\n",
    b"HEAD /sse/environments/limits/stream HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /sse/environments/a%2Fb/stream?lastEventId=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS /sse/environments/limits/queue-change HTTP/1.1\r\nHost: x\r\n"
    b"Origin: https://example.com\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
    *MALFORMED.values(),
)


async def send(service: Service, request: bytes) -> bytes:
    """What is answered within a moment."""
    received = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    with suppress(ConnectionError, TimeoutError):
        writer.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            while data := await reader.read(65536):
                received += data
    writer.close()
    return received


async def send_all(service: Service, requests: list[bytes]) -> dict[bytes, bytes]:
    """The first answer to each request that got one with a 5xx."""
    waiting = iter(requests)
    bad: dict[bytes, bytes] = {}

    async def send_some() -> None:
        for request in waiting:
            answer = await send(service, request)
            if re.search(rb"^HTTP/1\.[01] 5", answer, re.M):
                bad[request] = answer

    await asyncio.gather(*(send_some() for _ in range(AT_ONCE)))
    return bad


@pytest.mark.parametrize("seed", SEEDS)
async def test_requests__spoilt_at_random__nothing_and_nobody_is_harmed(
    single_server: str, nats: NatsServer, tmp_path: Path, seed: int
) -> None:
    # Given
    rng = Random(seed)
    requests = [mutated(ORIGINALS, rng) for _ in range(REQUESTS)]
    subjects: set[str] = set()

    async def note(message: Msg) -> None:
        subjects.add(message.subject)

    client = await nats_py.connect(nats.url)
    await client.subscribe(">", cb=note)
    await client.flush()
    with running_service(
        single_server,
        nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
    ) as service:
        service.await_ready()
        async with Stream(service.stream_url("undisturbed")) as stream:
            assert (await stream.next_block()).startswith("retry:")

            # When
            bad = await send_all(service, requests)

            # Then
            assert not bad
            answer = await asyncio.to_thread(service.publish, "undisturbed", 1)
            assert answer.status_code == 202
            assert await stream.next_event() == event("1")
            await asyncio.to_thread(
                eventually,
                lambda: service.introspect()["subscribers"] == 1,
                what="the spoilt streams to be gone",
            )
        assert not service.events("bridge.interrupted")
    await client.close()
    # What the instances tell each other is not what a request could have caused.
    fleet = ("flagsmith.fleet.alive", "flagsmith.fleet.events")
    others = ("$JS.", "_INBOX.", "_R_", *fleet)
    ours = {s for s in subjects if not s.startswith(others)}
    assert "flagsmith.environment.undisturbed" in ours
    assert all(environment_of(subject.encode()) for subject in ours), ours
