"""The transport of a response that is the last of its connection."""

import asyncio
from typing import Any, Final

from realtime.http.tcp import hold_back

LAST_CHUNK: Final = b"0\r\n\r\n"


class LastTransport(asyncio.Transport):
    """Sends a stream's last chunk and the connection's end in one packet.

    The head of the stream could not say yet that it would be the last. A client with a
    pool of connections that read the last chunk alone would send its next request
    before it hears of the end, and lose it.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: Any) -> None:
        if data.endswith(LAST_CHUNK) and not self._transport.is_closing():
            hold_back(self._transport.get_extra_info("socket"))
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()
