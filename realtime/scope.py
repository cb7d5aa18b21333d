"""What this app keeps in an ASGI scope."""

from typing import TYPE_CHECKING, cast

from asgiref.typing import HTTPScope

if TYPE_CHECKING:
    from realtime.service import RealtimeService

SERVICE = "realtime.service"


def service_in(scope: HTTPScope) -> "RealtimeService":
    """The service of this process, put there by `realtime.hosting`."""
    return cast("RealtimeService", scope[SERVICE])  # type: ignore[literal-required]  # our own key


def environment_in(scope: HTTPScope) -> str:
    """The environment that the route matched, not yet validated."""
    return cast(str, scope["url_route"]["kwargs"]["environment"])  # type: ignore[typeddict-item]  # Channels' key
