"""The stream endpoint of the running service, on both servers."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.raw_http import Connection, ask, names
from tests.support.service import SERVERS, Service, running_service
from tests.support.streams import Stream, event

KEEPALIVE = ": keep-alive\n\n"
QUIET_SECONDS = 0.5
AGE_SECONDS = 1.0
LATE_SECONDS = 1.0
"""How late something may be on a busy machine."""


@pytest.fixture(scope="module", params=SERVERS)
def keepalive_service(
    request: pytest.FixtureRequest,
    shared_nats: EmbeddedNats,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service whose streams may be quiet for half a second only."""
    folder, quiet = tmp_path_factory.mktemp("keepalive"), str(QUIET_SECONDS)
    with running_service(
        request.param, shared_nats.url, folder, SSE_KEEPALIVE_SECONDS=quiet
    ) as service:
        service.await_ready()
        yield service


@pytest.fixture(scope="module", params=SERVERS)
def max_age_service(
    request: pytest.FixtureRequest,
    shared_nats: EmbeddedNats,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service whose streams last for a second, give or take half."""
    folder, age = tmp_path_factory.mktemp("max-age"), str(AGE_SECONDS)
    with running_service(
        request.param, shared_nats.url, folder, SSE_MAX_STREAM_AGE_SECONDS=age
    ) as service:
        service.await_ready()
        yield service


async def test_stream__opened__documented_status_and_headers(
    service: Service, environment: str
) -> None:
    # Given / When
    async with Stream(service.stream_url(environment)) as stream:
        pass
    # Then
    assert (stream.version, stream.status) == ("HTTP/1.1", 200)
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in stream.headers
    assert "content-encoding" not in stream.headers


async def test_stream__opened__retry_first_and_different_for_each_client(
    service: Service, environment: str
) -> None:
    # Given
    blocks = []
    # When
    for _ in range(6):
        async with Stream(service.stream_url(environment)) as stream:
            blocks.append(await stream.next_block())
    # Then
    assert all(block.startswith("retry: ") for block in blocks)
    milliseconds = [int(block.removeprefix("retry: ")) for block in blocks]
    assert all(1500 <= wait <= 4500 for wait in milliseconds)
    assert len(set(milliseconds)) > 1


async def test_stream__update_published__one_frame_in_one_chunk(
    service: Service, environment: str
) -> None:
    # Given
    async with Stream(service.stream_url(environment)) as stream:
        # When
        response = service.publish(environment, 1735229888.76)
        received = await stream.next_event()
    # Then
    assert response.status_code == 202
    assert received == event("1735229888.76")
    assert stream.chunks[-1].decode() == received


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": ""},
        {"Accept": "*/*"},
        {"Accept": "text/event-stream"},
        {"Accept": "application/json, text/event-stream"},
        {"Accept": "text/event-stream, application/json; charset=utf-8"},
        {"Accept": "application/json"},
        {"Accept": "text/html;q=0.9, text/event-stream;q=0"},
        {"Accept-Encoding": "gzip, br"},
        {"Authorization": "Token wrong"},
        {"Connection": "close"},
        {"Cookie": "sessionid=1"},
        {"Last-Event-ID": "7"},
        {"X-Environment-Key": "other"},
    ],
    ids=str,
)
async def test_stream__any_accept_or_other_header__served(
    service: Service, environment: str, headers: dict[str, str]
) -> None:
    # Given
    async with Stream(service.stream_url(environment), headers=headers) as stream:
        # When
        service.publish(environment, 1)
        received = await stream.next_event()
    # Then
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert "content-encoding" not in stream.headers
    assert received == event("1")


@pytest.mark.parametrize(
    "suffix",
    ["?lastEventId=12", "?", "?lastEventId=%00&a=b?c", "/", "/?lastEventId=1"],
)
async def test_stream__query_string_or_trailing_slash__no_matter(
    service: Service, environment: str, suffix: str
) -> None:
    # Given
    async with Stream(service.stream_url(environment) + suffix) as stream:
        # When
        service.publish(environment, 1)
        received = await stream.next_event()
    # Then
    assert stream.status == 200
    assert received == event("1")


async def test_stream__opened_after_updates__only_the_latest_at_once(
    service: Service, environment: str
) -> None:
    # Given
    async with Stream(service.stream_url(environment)) as earlier:
        for number in range(1, 4):
            service.publish(environment, number)
            assert await earlier.next_event() == event(str(number))
    # When
    async with Stream(service.stream_url(environment)) as stream:
        blocks = [await stream.next_block(), await stream.next_block()]
        service.publish(environment, 4)
        blocks.append(await stream.next_block())
    # Then
    assert blocks[0].startswith("retry: ")
    assert blocks[1:] == [event("3"), event("4")]


async def test_stream__several_updates__all_in_order(
    service: Service, environment: str
) -> None:
    # Given
    # The time of an update says nothing about its order, and may be the same again.
    times = [1735229888.76, 5, 5, 1735229888.76, 1, 0]
    async with (
        Stream(service.stream_url(environment)) as one,
        Stream(service.stream_url(environment)) as other,
    ):
        for updated_at in times:
            # When
            service.publish(environment, updated_at)
            # Then
            assert await one.next_event() == event(str(updated_at))
            assert await other.next_event() == event(str(updated_at))


async def test_stream__burst_of_updates__in_order_and_the_last_arrives(
    service: Service, environment: str
) -> None:
    # Given
    sent, received = [event(str(number)) for number in range(50)], [""]
    async with Stream(service.stream_url(environment)) as stream:
        # When
        for number in range(50):
            service.publish(environment, number)
        while received[-1] != sent[-1]:
            received.append(await stream.next_event())
    # Then
    # JetStream keeps the newest only: one that was replaced at once may not be sent.
    assert received[1:] == [update for update in sent if update in received]


async def test_stream__two_environments__do_not_mix(
    service: Service, environment: str
) -> None:
    # Given
    other_environment = f"{environment}.{environment}"
    async with (
        Stream(service.stream_url(environment)) as one,
        Stream(service.stream_url(other_environment)) as other,
    ):
        for number in (1, 2):
            # When
            service.publish(environment, number)
            service.publish(other_environment, number + 10)
            # Then
            assert await one.next_event() == event(str(number))
            assert await other.next_event() == event(str(number + 10))


async def test_stream__two_processes__each_tells_the_subscribers_of_both(
    service: Service, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    service.publish(environment, 1)
    with running_service(service.server, shared_nats.url, tmp_path) as second:
        second.await_ready()
        async with (
            Stream(service.stream_url(environment)) as here,
            Stream(second.stream_url(environment)) as there,
        ):
            assert await here.next_event() == event("1")
            assert await there.next_event() == event("1")
            for number, publisher in enumerate([service, second], start=2):
                # When
                publisher.publish(environment, number)
                # Then
                assert await here.next_event() == event(str(number))
                assert await there.next_event() == event(str(number))


def test_stream__head__headers_of_get_without_a_body(
    service: Service, environment: str
) -> None:
    # Given
    target = f"/sse/environments/{environment}/stream"
    service.publish(environment, 1)
    with Connection(service.url) as connection:
        # When
        answer = connection.request("HEAD", target)
        again = connection.request("HEAD", target)
        afterwards = connection.request("GET", "/livez")
    # Then
    assert answer.status == again.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert afterwards.json == {"status": "ok"}


def test_stream__options__allow(service: Service, environment: str) -> None:
    # Given / When
    answer = ask(service, "OPTIONS", f"/sse/environments/{environment}/stream")
    # Then
    assert (answer.status, answer.body) == (200, b"")
    assert names(answer.headers["allow"]) == {"get", "head", "options"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_stream__wrong_method__405_with_allow(
    service: Service, environment: str, method: str
) -> None:
    # Given
    target = f"/sse/environments/{environment}/stream"
    with Connection(service.url) as connection:
        # When
        answer = connection.request(method, target, body=b"{}")
        afterwards = connection.request("GET", "/livez")
    # Then
    assert answer.status == 405
    assert answer.json == {"detail": f'Method "{method}" not allowed.'}
    assert names(answer.headers["allow"]) == {"get", "head", "options"}
    assert afterwards.status == 200


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_stream__http_1_0_client__frames_without_chunks(
    service: Service, environment: str, connection: str
) -> None:
    # Given
    async with Stream(
        service.stream_url(environment),
        version="1.0",
        headers={"Connection": connection},
    ) as stream:
        first = await stream.next_block()
        for number in (1, 2):
            # When
            service.publish(environment, number)
            # Then
            assert await stream.next_block() == event(str(number))
    assert stream.status == 200
    assert "transfer-encoding" not in stream.headers
    assert "content-length" not in stream.headers
    assert stream.headers.get("connection") != "keep-alive"
    assert first.startswith("retry: ")


async def test_keepalive__stream_quiet__once_per_interval(
    keepalive_service: Service, environment: str
) -> None:
    # Given
    since = time.monotonic()
    async with Stream(keepalive_service.stream_url(environment)) as stream:
        await stream.next_block()
        for _ in range(2):
            # When
            block = await stream.next_block()
            now = time.monotonic()
            # Then
            assert block == KEEPALIVE
            assert stream.chunks[-1].decode() == KEEPALIVE
            assert QUIET_SECONDS <= now - since < QUIET_SECONDS + LATE_SECONDS
            # It was sent at this time at the earliest, and so is the next one then.
            since += QUIET_SECONDS


async def test_keepalive__updates_sent__postponed_for_that_environment(
    keepalive_service: Service, environment: str
) -> None:
    # Given
    url = keepalive_service.stream_url(environment)
    async with (
        Stream(url) as busy,
        Stream(url, version="1.0") as busy_too,
        Stream(keepalive_service.stream_url(f"{environment}.quiet")) as quiet,
    ):
        for stream in (busy, busy_too, quiet):
            assert (await stream.next_block()).startswith("retry: ")
        # When
        for number in range(8):
            await asyncio.sleep(QUIET_SECONDS / 4)
            published = time.monotonic()
            keepalive_service.publish(environment, number)
            # Then
            assert await busy.next_block() == event(str(number))
            assert await busy_too.next_block() == event(str(number))
        assert await quiet.next_block() == KEEPALIVE
        assert await busy.next_block() == KEEPALIVE
        assert time.monotonic() - published >= QUIET_SECONDS
        assert await busy_too.next_block() == KEEPALIVE


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_max_age__reached__streams_end_properly(
    max_age_service: Service, environment: str, version: str
) -> None:
    # Given
    url = max_age_service.stream_url(environment)
    max_age_service.publish(environment, 1)
    opened = time.monotonic()
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(Stream(url, version=version))
            for _ in range(4)
        ]
        for stream in streams:
            assert await stream.next_event() == event("1")

        async def lifetime(stream: Stream) -> float:
            await stream.until_end()
            return time.monotonic() - opened

        # When
        lived = await asyncio.gather(*map(lifetime, streams))
    # Then
    assert all(stream.ended for stream in streams)
    assert all(stream.closed == (version == "1.0") for stream in streams)
    assert min(lived) >= AGE_SECONDS / 2
    assert max(lived) < AGE_SECONDS * 1.5 + LATE_SECONDS


def test_max_age__reached__connection_takes_another_request(
    max_age_service: Service, environment: str
) -> None:
    # Given
    target = f"/sse/environments/{environment}/stream"
    with Connection(max_age_service.url) as connection:
        # When
        stream = connection.request("GET", target)
        afterwards = connection.request("GET", "/livez")
    # Then
    assert stream.status == 200
    assert stream.body.startswith(b"retry: ")
    assert stream.body.endswith(b"\n\n")
    assert afterwards.json == {"status": "ok"}
