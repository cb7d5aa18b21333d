import asyncio
import socket

import pytest

from realtime.server.responses import LAST_CHUNK, LastTransport


async def test_last_chunk__written__waits_for_the_end_of_the_connection() -> None:
    # Given: a connection whose client is read from without waiting
    made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            made.set_result(transport)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        transport = LastTransport(await made)
        client.setblocking(False)

        # When
        transport.write(b"5\r\nevent\r\n")

        # Then
        assert client.recv(100) == b"5\r\nevent\r\n"

        # When
        transport.write(LAST_CHUNK)

        # Then
        with pytest.raises(BlockingIOError):
            client.recv(100)

        # When
        transport.close()
        assert transport.is_closing()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        # Then
        assert client.recv(100) == LAST_CHUNK
        assert client.recv(100) == b""
    server.close()
