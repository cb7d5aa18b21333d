"""Very many subscribers in one process: plain sockets that read no more than the head
of the response until they are asked to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.service import Service

AT_ONCE = 200
"""How many connect at the same time, unless told."""

WAIT_SECONDS = 20


class Member:
    """One subscriber; `status` is the response's, `received` all that was read.
    `receive_buffer` is the size of the kernel's, in bytes, where it matters."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        self._client = socket.socket()
        self._client.setblocking(False)
        if receive_buffer is not None:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.received = b""
        self.status = 0

    async def subscribe(self, port: int, environment: str) -> None:
        loop = asyncio.get_running_loop()
        path = f"/sse/environments/{environment}/stream"
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        async with asyncio.timeout(WAIT_SECONDS):
            await loop.sock_connect(self._client, ("127.0.0.1", port))
            await loop.sock_sendall(self._client, request)
            while b"\r\n\r\n" not in self.received:
                data = await loop.sock_recv(self._client, 4096)
                assert data, f"closed after {self.received!r}"
                self.received += data
        self.status = int(self.received.split(b" ", 2)[1])

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes more; none at the end of the connection."""
        return await asyncio.get_running_loop().sock_recv(self._client, size)

    def close(self) -> None:
        self._client.close()

    async def ended_properly(self) -> bool:
        """Wait for the end; whether it came with the response's final chunk."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(WAIT_SECONDS):
            while not self.received.endswith(b"\r\n0\r\n\r\n"):
                try:
                    data = await loop.sock_recv(self._client, 4096)
                except ConnectionResetError:
                    return False
                if not data:
                    return False
                self.received += data
        return True


@asynccontextmanager
async def crowd(
    service: Service,
    environment: str,
    count: int,
    *,
    at_once: int = AT_ONCE,
) -> AsyncIterator[list[Member]]:
    """`count` clients that have asked for the stream and got the head of a response."""
    members = [Member() for _ in range(count)]
    try:
        turns = asyncio.Semaphore(at_once)

        async def subscribe(member: Member) -> None:
            async with turns:
                await member.subscribe(service.port, environment)

        await asyncio.gather(*(subscribe(member) for member in members))
        yield members
    finally:
        for member in members:
            member.close()
