"""Publishes that are refused: by whom, and why, in words."""

from http import HTTPStatus
from typing import Final

from realtime.asgi import Scope
from realtime.client_address import TrustedProxies
from realtime.fleet.publishes import Publishes
from realtime.http import Response, header

UNIX_SOCKET: Final = "a Unix socket"
_NO_KEY: Final = "The path holds nothing that can be an environment key."


def note_refusal(
    publishes: Publishes, proxies: TrustedProxies, scope: Scope, response: Response
) -> None:
    """Remember in `publishes` that `response` refuses the request in `scope`."""
    publishes.refused(
        int(response.status),
        _reason(response),
        proxies.client(scope) or UNIX_SOCKET,
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
