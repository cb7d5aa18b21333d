"""Streams that have come and gone leave nothing behind in the process."""

import asyncio
import secrets
import socket
from pathlib import Path

import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.service import running_service
from tests.support.streams import Stream
from tests.support.waiting import eventually

STREAMS = 200


async def test_streams__200_opened_and_closed__leave_nothing(
    single_server: str, shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    with running_service(
        single_server,
        shared_nats.url,
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
    ) as service:
        service.await_ready()
        before = service.introspect()
        assert before["subscribers"] == before["subscriber_objects"] == 0

        # When
        keys = [secrets.token_hex(11) for _ in range(STREAMS // 2)] * 2
        streams = [Stream(service.stream_url(key)) for key in keys]
        for stream in streams:
            await stream.__aenter__()
        await asyncio.gather(*(stream.next_block() for stream in streams))
        during = service.introspect()
        for stream in streams:
            await stream.__aexit__(None, None, None)

        # Then
        assert during["subscribers"] == during["on_the_wheel"] == STREAMS
        assert during["environments"] == STREAMS // 2
        await asyncio.to_thread(eventually, lambda: service.introspect() == before)


async def test_streams__200_opened_and_closed__nothing_for_the_garbage_collector(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given: on Daphne it is Twisted's and Daphne's to leave what they leave
    with running_service(
        *("serve", shared_nats.url, tmp_path),
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
    ) as service:
        service.await_ready()
        collect = f"{service.url}/collect"
        await asyncio.to_thread(requests.get, collect)

        # When
        streams = [Stream(service.stream_url(environment)) for _ in range(STREAMS)]
        for stream in streams:
            await stream.__aenter__()
        for stream in streams:
            await stream.__aexit__(None, None, None)
        await asyncio.to_thread(
            eventually, lambda: service.metric("flagsmith_sse_subscribers") == 0
        )

        # Then: no more than Django's own requests leave
        response = await asyncio.to_thread(requests.get, collect)
        assert response.json()["collected"] < 5 * STREAMS


async def test_streams__held_and_given_up__leave_nothing(
    single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given: no NATS
    with running_service(
        single_server,
        "nats://127.0.0.1:1",
        tmp_path,
        DJANGO_SETTINGS_MODULE="tests.support.introspection",
        SSE_REJECT_DELAY_SECONDS="60",
    ) as service:
        service.await_ready(False)
        eventually(lambda: service.events("bridge.interrupted"), what="an attempt")

        # When
        waiting = [
            asyncio.create_task(Stream(service.stream_url(environment)).__aenter__())
            for _ in range(20)
        ]

        async def all_held() -> None:
            while (await asyncio.to_thread(service.introspect))["held"] < 20:
                pass

        await asyncio.wait_for(all_held(), 10)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        # Then
        def nothing_held() -> bool:
            now = service.introspect()
            return now["held"] == 0 and not any(
                "EnvironmentStreamConsumer" in name for name in now["tasks"]
            )

        await asyncio.to_thread(eventually, nothing_held)


def test_stream__request_pipelined_behind_it__gone_with_its_client(
    shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service("serve", shared_nats.url, tmp_path) as service:
        service.await_ready()
        path = f"/sse/environments/{environment}/stream"
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(request + request)
            eventually(
                lambda: service.metric("flagsmith_sse_subscribers") == 1, what="one"
            )
        # When: the client has gone
        # Then
        eventually(
            lambda: service.metric("flagsmith_sse_subscribers") == 0, what="none"
        )
