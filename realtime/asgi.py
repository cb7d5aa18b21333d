"""ASGI's types, as plain as servers and Channels hand them over, and what this app
keeps in a scope."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from realtime.service import RealtimeService

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SERVICE = "realtime.service"


def service_in(scope: Scope) -> "RealtimeService":
    """The service of this process, put there by `realtime.hosting`."""
    return cast("RealtimeService", scope[SERVICE])


def environment_in(scope: Scope) -> str:
    """The environment that the route matched, not yet validated."""
    return cast(str, scope["url_route"]["kwargs"]["environment"])
