"""A stream that the server ends has its last chunk: the Android SDK connects again
after a clean end of the response, and never after a transport failure."""

import asyncio
from pathlib import Path

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.service import Service, running_service
from tests.support.streams import Stream


async def test_stream__maximum_age_reached__ends_with_last_chunk(
    ageing_service: Service, environment: str
) -> None:
    # Given
    async with Stream(ageing_service.stream_url(environment)) as stream:
        # When
        await stream.until_end()
    # Then
    assert stream.headers["transfer-encoding"] == "chunked"
    assert stream.ended


async def test_stream__server_stopped__ends_with_last_chunk(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(server, shared_nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            # When
            stopping = asyncio.create_task(asyncio.to_thread(service.stop))
            await stream.until_end()
            exit_code = await stopping
    # Then
    assert stream.headers["transfer-encoding"] == "chunked"
    assert stream.ended
    assert exit_code == 0
