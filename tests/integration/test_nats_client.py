"""Our NATS client against a server that answers no more, or is lost."""

import asyncio
from contextlib import suppress

import pytest
import uvloop

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.client import FLUSH_SECONDS
from realtime.jetstream.connection import close, connect
from tests.support.nats import NatsServer

INFO = (
    b'INFO {"server_id":"x","version":"2.10.0","headers":true,"max_payload":1024}\r\n'
)


async def test_listen__server_answers_no_more__given_up_in_time() -> None:
    # Given: it answers the first ping, with which a connection begins
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while b"PING" not in await reader.readline():
            pass
        writer.write(b"PONG\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = RealtimeSettings(
            authentication_tokens=("t",), nats_servers=(f"nats://127.0.0.1:{port}",)
        )
        client = await connect(settings)

        # When
        async with asyncio.timeout(FLUSH_SECONDS + 2):
            with pytest.raises(NatsUnavailable, match="flush timeout"):
                await client.listen("a", lambda *_: None)
        await close(client)


def test_send__connection_lost_and_nobody_knows_yet__says_that_nothing_was_sent(
    nats: NatsServer,
) -> None:
    # Given: the event loop of `manage.py serve`, whose transports raise
    async def send_until_it_is_known() -> None:
        settings = RealtimeSettings(
            authentication_tokens=("t",), nats_servers=(nats.url,)
        )
        client = await connect(settings)
        client._transport._io_writer.transport.abort()  # type: ignore[union-attr]

        # When
        client.send("a", b"", "")
        await asyncio.sleep(0)
        assert client.is_connected

        # Then: an update is kept, instead of an error for whoever has published it
        with pytest.raises(NatsUnavailable, match="was lost"):
            client.send("a", b"", "")
        await close(client)

    uvloop.run(send_until_it_is_known())
