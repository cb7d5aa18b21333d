"""The stream endpoint of the running service, on both servers."""

from tests.support.service import Service
from tests.support.streams import Stream, event


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
