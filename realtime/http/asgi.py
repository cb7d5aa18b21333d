"""ASGI's types, as plain as servers and Channels hand them over, and what this app
keeps in a scope."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from realtime.service import RealtimeService
    from realtime.sse.transport_subscriber import Connection

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SERVICE = "realtime.service"
CONNECTION = "realtime.connection"
"""The name of the ASGI extension by which `realtime.server` offers the connection."""


def asks_for_stream(scope: Mapping[str, Any]) -> bool:
    """Whether the request is one that an SDK opens its stream with, on whatever path:
    where its base URL is wrong, that too ends in `/stream`."""
    path: str = scope["path"]
    return path.endswith(("/stream", "/stream/")) and scope["method"] == "GET"


def service_in(scope: Mapping[str, Any]) -> "RealtimeService":
    """The service of this process, put there by `realtime.hosting`."""
    return cast("RealtimeService", scope[SERVICE])


def connection_in(scope: Scope) -> "Connection | None":
    """The client's connection, where the server offers it and HTTP/1.1 chunks apply."""
    extensions = scope.get("extensions")
    return extensions.get(CONNECTION) if extensions else None


def environment_in(scope: Scope) -> str:
    """The environment that the route matched, not yet validated."""
    return cast(str, scope["url_route"]["kwargs"]["environment"])
