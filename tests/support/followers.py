"""Clients that stay for long: one that reconnects as an SDK does, and a publisher that
needs to know what became of its update."""

import asyncio
from contextlib import suppress

from tests.support.service import TOKEN, Service
from tests.support.streams import Stream


class Subscriber:
    """Subscribes to `environment`, for ever: reconnects when the stream ends."""

    def __init__(self, service: Service, environment: str) -> None:
        self._service = service
        self.environment = environment
        self.last = -1
        self.connections = 0
        self.in_order = True
        """Whether no stream has ever gone back."""

    def move(self, old: Service, new: Service) -> None:
        """Connect to `new` from the next time on, if it was `old` before, as a load
        balancer would have it."""
        if self._service is old:
            self._service = new

    async def run(self) -> None:
        while True:
            url = self._service.stream_url(self.environment)
            with suppress(OSError, EOFError, TimeoutError, AssertionError):
                async with Stream(url) as stream:
                    if stream.status == 200:
                        self.connections += 1
                        await self._read(stream)
            await asyncio.sleep(0.1)

    async def _read(self, stream: Stream) -> None:
        previous = -1
        while True:
            block = await stream.next_event()
            self.last = int(block.partition('"updated_at":')[2].partition("}")[0])
            self.in_order &= previous < self.last
            previous = self.last


async def acknowledged(service: Service, environment: str, number: int) -> bool:
    """Publish on a connection of its own; whether it was answered with 202."""
    body = b'{"updated_at":%d}' % number
    path = f"/sse/environments/{environment}/queue-change"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Token {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(head.encode() + body)
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return answer.startswith(b"HTTP/1.1 202 ")
