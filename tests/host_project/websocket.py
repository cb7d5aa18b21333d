"""As much of a WebSocket client as reads short text messages."""

import asyncio
import base64
import json
import os
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

WAIT_SECONDS = 10


class WebSocket:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port
        )
        key = base64.b64encode(os.urandom(16)).decode()
        self._writer.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        async with asyncio.timeout(WAIT_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def receive_json(self) -> Any:
        """The next message; one frame of text, under 64 kB."""
        async with asyncio.timeout(WAIT_SECONDS):
            kind, length = await self._reader.readexactly(2)
            assert kind == 0x81, "a whole text message"
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2))
            return json.loads(await self._reader.readexactly(length))
