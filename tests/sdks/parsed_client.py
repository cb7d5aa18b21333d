"""A client for the SDKs that cannot run here: a real stream, and the SDK's parser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.sdks.flagsmith_api import FlagsmithApi
from tests.sdks.parser import Parser
from tests.support.service import Service
from tests.support.streams import Stream


class ParsedClient:
    """Fetches the flags at its start and whenever an update is newer than they are.

    When a stream ends it opens the next one, as every SDK does sooner or later.
    """

    def __init__(self, parser: type[Parser], url: str, api: FlagsmithApi) -> None:
        self._parser = parser
        self._url = url
        self._api = api
        self._colour, self._updated_at = api.fetch()
        self.connected = asyncio.Event()

    async def colour(self) -> str | None:
        return self._colour

    async def listen(self) -> None:
        while True:
            parser = self._parser()
            async with Stream(self._url, headers=parser.headers) as stream:
                assert stream.status == 200
                assert stream.headers["content-type"] == "text/event-stream"
                self.connected.set()
                await self._read(stream, parser)
            # The Android SDK never connects again after a transport failure.
            assert stream.ended, "The stream was cut off without its last chunk."

    async def _read(self, stream: Stream, parser: Parser) -> None:
        fed = 0
        while not (stream.ended or stream.closed):
            with suppress(EOFError):
                await stream.next_block()
            for chunk in stream.chunks[fed:]:
                self._refetch(parser.feed(chunk))
            fed = len(stream.chunks)
        self._refetch(parser.end())

    def _refetch(self, updates: list[float]) -> None:
        for updated_at in updates:
            if updated_at > self._updated_at:
                self._colour, self._updated_at = self._api.fetch()


@asynccontextmanager
async def parsed_client(
    parser: type[Parser], service: Service, api: FlagsmithApi
) -> AsyncIterator[ParsedClient]:
    """Run it until the end of the block; what goes wrong in it ends the block."""
    client = ParsedClient(parser, service.stream_url(api.environment), api)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.listen())
        await client.connected.wait()
        yield client
        task.cancel()
