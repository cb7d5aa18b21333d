"""uvicorn's HTTP/1.1 protocol with what it lacks for streams."""

import sys
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from realtime.asgi import CONNECTION

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class StreamProtocol(HttpToolsProtocol):
    """Offers the connection to the application, and serves HTTP/1.0 clients a stream
    that they understand."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        # The application's task has not run yet.
        if self.scope["http_version"] == "1.0":
            self.cycle.__class__ = UnchunkedCycle
        else:
            self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]  # uvicorn's own are plain dicts


class UnchunkedCycle(RequestResponseCycle):
    """A response without declared length, ended by closing the connection: HTTP/1.0
    knows no chunks, but uvicorn would send them."""

    async def send(self, message: "ASGISendEvent") -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", [])}
            if b"content-length" not in names:
                self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
        elif (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and not self.response_complete
            and self.expected_content_length > len(message.get("body", b""))
        ):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
