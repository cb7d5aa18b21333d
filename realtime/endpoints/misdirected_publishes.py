"""Publishes to where nothing can be published: Flagsmith's base URL is wrong, or a
proxy in front changes the path."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Final

from realtime.endpoints.refused_publishes import note_refused
from realtime.http.asgi import Message, Receive, Scope, Send, service_in

LOGGED_CHARACTERS: Final = 100
"""Of a path."""


class MisdirectedPublishes:
    """Around the application of other paths: where it refuses what would be a publish,
    that is remembered like any other that is refused."""

    _asgi_single_callable = True  # asgiref's mark for what is no `async def`

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path: str = scope["path"]
        if scope["method"] == "POST" and path.rstrip("/").endswith("/queue-change"):
            send = _noting(scope, send)
        awaitable: Awaitable[None] = self._application(scope, receive, send)
        return awaitable


def _noting(scope: Scope, send: Send) -> Send:
    """`send` for the answer to a publish."""
    # The environment's key, which stands before the last part, is left out.
    base = scope["path"].rstrip("/").rsplit("/", 2)[0][:LOGGED_CHARACTERS]

    async def send_noting(message: Message) -> None:
        if message.get("status", 0) >= HTTPStatus.BAD_REQUEST:
            reason = f"Nothing can be published to {base}/…/queue-change."
            note_refused(service_in(scope), scope, message["status"], reason)
        await send(message)

    return send_noting
