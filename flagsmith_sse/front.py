"""What is answered to whoever comes to the service's address itself: what this is, its
icon, and that robots need not look. Nothing of it depends on the installation but
whether it is ready and has the admin."""

import json
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.template.loader import render_to_string

from flagsmith_sse.pages import page_headers, wants_html
from realtime.hosting import service_in
from realtime.http.asgi import Receive, Scope
from realtime.http.view import Header, Response, View, header
from realtime.routing import route

DESCRIPTION: Final = (
    "Tells applications that use Flagsmith the moment their flags change, over "
    "server-sent events."
)

_ICONS: Final = Path(__file__).parent / "static" / "front"
_A_DAY: Final = (b"cache-control", b"public, max-age=86400")


class IndexView(View):
    """`GET /`: a page, or the same as JSON where that is asked for."""

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        ready = service_in(scope).not_ready is None
        accept = (header(scope, b"accept") or b"").decode("latin-1")
        if "application/json" in accept and not wants_html(accept):
            return _json(ready)
        return _page(ready)


class FileView(View):
    """A small file that never changes."""

    def __init__(self, content: bytes, kind: bytes) -> None:
        self._response = Response(
            HTTPStatus.OK, content, ((b"content-type", kind), _A_DAY)
        )

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        return self._response


def front_urlpatterns() -> list[Any]:
    """The routes, of which `SSE_INDEX_ENABLED` switches off all that says what this
    is."""
    robots = FileView(b"User-agent: *\nDisallow: /\n", b"text/plain; charset=utf-8")
    patterns = [route(r"^robots\.txt\Z", robots)]
    if settings.SSE_INDEX_ENABLED:
        patterns += [
            route(r"^\Z", IndexView()),
            route(r"^favicon\.ico\Z", _icon("favicon.ico", b"image/x-icon")),
            route(r"^favicon\.svg\Z", _icon("favicon.svg", b"image/svg+xml")),
        ]
    return patterns


def _icon(name: str, kind: bytes) -> FileView:
    return FileView((_ICONS / name).read_bytes(), kind)


@lru_cache
def _page(ready: bool) -> Response:
    html = render_to_string(
        "front/index.html",
        {
            "description": DESCRIPTION,
            "ready": ready,
            "admin": settings.SSE_ADMIN_ENABLED,
        },
    )
    return Response(HTTPStatus.OK, html.encode(), _as_bytes(page_headers()))


@lru_cache
def _json(ready: bool) -> Response:
    links = {
        "stream": "/sse/environments/{environment}/stream",
        "queue_change": "/sse/environments/{environment}/queue-change",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    if settings.SSE_ADMIN_ENABLED:
        links["admin"] = "/admin/"
    body = {
        "name": "Flagsmith real-time updates",
        "description": DESCRIPTION,
        "status": "ok" if ready else "unavailable",
        "links": links,
        "guides": "README.md and the folder docs of the source",
    }
    shared = {"Cache-Control": "no-store", "Vary": "Accept"}
    headers = {"Content-Type": "application/json", **shared}
    return Response(HTTPStatus.OK, json.dumps(body).encode(), _as_bytes(headers))


def _as_bytes(headers: dict[str, str]) -> tuple[Header, ...]:
    return tuple(
        (name.lower().encode(), value.encode()) for name, value in headers.items()
    )
