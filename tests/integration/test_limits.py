"""No more streams than fit: the others wait a little and are turned away, while
everything else goes on."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.crowd import crowd
from tests.support.service import running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

LATE_SECONDS = 1.0
"""How late something may be on a busy machine."""


async def test_max_subscribers__one_more__paced_503_while_all_else_works(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        arguments=["--max-subscribers=10"],
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_REJECT_DELAY_SECONDS="1",
    ) as service:
        service.await_ready()
        url = service.stream_url(environment)
        async with (
            crowd(service, environment, 10) as members,
            AsyncExitStack() as stack,
        ):
            assert {member.status for member in members} == {200}

            async def subscribe() -> Stream:
                return await stack.enter_async_context(Stream(url))

            # When
            began = time.monotonic()
            waiting = asyncio.create_task(subscribe())
            published = await asyncio.to_thread(service.publish, environment, 1)
            ready, live = [
                await asyncio.to_thread(requests.get, f"{service.url}/{probe}")
                for probe in ("readyz", "livez")
            ]

            # Then
            assert not waiting.done()
            assert published.status_code == 202
            assert (ready.status_code, live.status_code) == (200, 200)
            refused = await waiting
            held = time.monotonic() - began
            assert refused.status == 503
            assert refused.headers["retry-after"] == "1"
            assert 0.5 <= held < 1.5 + LATE_SECONDS

            # When
            waiting = asyncio.create_task(subscribe())
            await asyncio.to_thread(
                eventually, lambda: service.introspect()["held"] == 1, what="the wait"
            )
            members[0].close()

            # Then: the one that waits is served, and gets what it has missed
            served = await waiting
            assert served.status == 200
            assert await served.next_event() == event("1")

            # When
            members[1].close()

            # Then
            assert (await subscribe()).status == 200


async def test_max_subscribers__as_many_more__all_are_held(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        arguments=["--max-subscribers=10"],
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_REJECT_DELAY_SECONDS="60",
    ) as service:
        service.await_ready()
        async with crowd(service, environment, 10):
            # When: as clients that come back at once
            more = [Stream(service.stream_url(environment)) for _ in range(10)]
            waiting = [asyncio.create_task(stream.__aenter__()) for stream in more]

            # Then
            await asyncio.to_thread(
                eventually, lambda: service.introspect()["held"] == 10, what="the wait"
            )
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)


async def test_open_files__few__streams_leave_room_for_everything_else(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        open_files="-n 300",
        SSE_REJECT_DELAY_SECONDS="0.2",
    ) as service:
        service.await_ready()

        # When
        async with crowd(service, environment, 240, at_once=40) as members:
            # Then
            statuses = [member.status for member in members]
            assert statuses.count(200) == 300 - 75
            assert statuses.count(503) == 240 - (300 - 75)
            answer = await asyncio.to_thread(service.publish, environment, 1)
            assert answer.status_code == 202
            assert service.is_ready()


async def test_open_files__clients_stay_after_their_503__room_for_everything_else(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        open_files="-n 300",
        SSE_REJECT_DELAY_SECONDS="0.2",
    ) as service:
        service.await_ready()

        # When: more than there may be files
        async with crowd(service, environment, 400, at_once=40) as members:
            # Then
            statuses = [member.status for member in members]
            assert statuses.count(200) == 300 - 75
            answer = await asyncio.to_thread(service.publish, environment, 1)
            assert answer.status_code == 202
