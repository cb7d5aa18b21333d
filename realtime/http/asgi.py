"""ASGI's types, as plain as servers and Channels hand them over, and what this app
keeps in a scope."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SERVICE = "realtime.service"
"""Where a scope keeps the service of this process: see `realtime.hosting`."""

CONNECTION = "realtime.connection"
"""The name of the ASGI extension by which `realtime.server` offers the connection."""


class Transport(Protocol):
    """The part of asyncio's write transport that is used here."""

    def write(self, data: bytes) -> None: ...
    def abort(self) -> None: ...
    def get_extra_info(self, name: str) -> Any: ...
    def is_closing(self) -> bool: ...
    def set_write_buffer_limits(self, high: int) -> None: ...


class Flow(Protocol):
    """uvicorn's view of the transport's buffer."""

    @property
    def write_paused(self) -> bool: ...


class Connection(Protocol):
    """What a server's protocol class offers as an ASGI extension."""

    @property
    def transport(self) -> Transport: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def broke(self) -> bool: ...


def asks_for_stream(scope: Mapping[str, Any]) -> bool:
    """Whether the request is one that an SDK opens its stream with, on whatever path:
    where its base URL is wrong, that too ends in `/stream`."""
    path: str = scope["path"]
    return path.endswith(("/stream", "/stream/")) and scope["method"] == "GET"


def connection_in(scope: Scope) -> Connection | None:
    """The client's connection, where the server offers it and HTTP/1.1 chunks apply."""
    extensions = scope.get("extensions")
    return extensions.get(CONNECTION) if extensions else None


def environment_in(scope: Scope) -> str:
    """The environment that the route matched, not yet validated."""
    return cast(str, scope["url_route"]["kwargs"]["environment"])
