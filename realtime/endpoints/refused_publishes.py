"""What is remembered of an answer to a publisher: whose it was, and why it was no."""

from http import HTTPStatus
from typing import Final

from realtime.fleet.publishes.recorder import ACCEPTED
from realtime.http.asgi import Scope
from realtime.http.view import Response, header
from realtime.service import RealtimeService

UNIX_SOCKET: Final = "a Unix socket"
_NO_KEY: Final = "The path holds nothing that can be an environment key."


def note_answer(service: RealtimeService, scope: Scope, response: Response) -> None:
    """Remember that `response` answers the request to publish in `scope`."""
    if response.status == ACCEPTED:
        service.publishes.accepted.note()
    elif response.status >= HTTPStatus.BAD_REQUEST:
        note_refused(service, scope, response.status, _reason(response))


def note_refused(
    service: RealtimeService, scope: Scope, status: int, reason: str
) -> None:
    """Remember that the request to publish in `scope` is answered with `status` for
    `reason`."""
    service.publishes.refused(
        int(status),
        reason,
        service.proxies.client(scope) or UNIX_SOCKET,
        publisher=looks_like_publisher(scope),
    )


def looks_like_publisher(scope: Scope) -> bool:
    """Whether a publisher may have sent the request: Flagsmith posts JSON, with a
    token. Browsers and most scanners do neither."""
    if scope["method"] != "POST":
        return False
    content_type = header(scope, b"content-type") or b""
    return b"json" in content_type.lower() or (
        header(scope, b"authorization") is not None
    )


def _reason(response: Response) -> str:
    """Why, as the client is told, in a sentence."""
    if response.status == HTTPStatus.NOT_FOUND:
        return _NO_KEY
    body = response.body
    if not isinstance(body, dict):
        return ""
    if isinstance(detail := body.get("detail"), str):
        return detail
    return " ".join(
        f"{field}: {reason}"
        for field, reasons in body.items()
        for reason in (reasons if isinstance(reasons, list) else [reasons])
    )
