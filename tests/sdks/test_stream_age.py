"""The Flutter SDK opens another stream every 29 s and never closes the one before: a
maximum age bounds how many of them there are."""

import asyncio

from tests.sdks.flutter import FlutterParser
from tests.support.service import Service
from tests.support.streams import Stream

INTERVAL = 0.1
"""In place of the SDK's 29 s, as 1 s is in place of 30 s."""

OPENED = 40
LONGEST = 2.0
"""A maximum age of 1 s, give or take half, and half a second for a busy machine."""


async def test_flutter__opens_streams_and_closes_none__as_many_as_the_age_allows(
    ageing_service: Service, environment: str
) -> None:
    # Given
    url = ageing_service.stream_url(environment)
    held: set[Stream] = set()
    most = 0

    async def open_another() -> None:
        nonlocal most
        async with Stream(url, headers=FlutterParser.headers) as stream:
            held.add(stream)
            most = max(most, len(held))
            await stream.until_end()
            held.remove(stream)
        assert stream.ended

    # When
    async with asyncio.TaskGroup() as group:
        for _ in range(OPENED):
            group.create_task(open_another())
            await asyncio.sleep(INTERVAL)

    # Then
    assert most <= LONGEST / INTERVAL
