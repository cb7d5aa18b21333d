"""The few pages of the service itself, which are seen without the admin: what this is,
its icon, that robots need not look, and what is not found. HTML for browsers, JSON for
everybody else. Nothing of it depends on the installation but whether the service is
ready and has the admin.
"""

import base64
import hashlib
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from realtime.http.asgi import SERVICE

DESCRIPTION: Final = (
    "Tells applications that use Flagsmith the moment their flags change, over "
    "server-sent events."
)

_ICONS: Final = Path(__file__).parent / "static" / "front"


def index(request: HttpRequest) -> HttpResponse:
    """What this is: a page, or the same as JSON where that is asked for."""
    scope: dict[str, Any] = request.scope  # type: ignore[attr-defined]  # of ASGI
    ready = scope[SERVICE].not_ready is None
    accept = request.headers.get("Accept", "")
    if "application/json" in accept and "text/html" not in accept:
        return _index_json(ready)
    context = {
        "description": DESCRIPTION,
        "ready": ready,
        "admin": settings.SSE_ADMIN_ENABLED,
    }
    return _page("front/index.html", HTTPStatus.OK, context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`. With `SSE_INDEX_ENABLED` off it does not say what is
    here."""
    detail = "Not found."
    if not settings.SSE_INDEX_ENABLED:
        return JsonResponse({"detail": detail}, status=HTTPStatus.NOT_FOUND)
    return page_response(
        request, "front/not_found.html", HTTPStatus.NOT_FOUND, detail=detail
    )


def page_response(
    request: HttpRequest,
    template: str,
    status: HTTPStatus,
    *,
    detail: str,
    **context: object,
) -> HttpResponse:
    """`template` for a browser, `{"detail": …}` for anybody else."""
    if "text/html" not in request.headers.get("Accept", ""):
        return JsonResponse(
            {"detail": detail}, status=status, headers={"Vary": "Accept"}
        )
    return _page(template, status, {"detail": detail, **context})


def urlpatterns() -> list[URLPattern]:
    """The routes, of which `SSE_INDEX_ENABLED` switches off all that says what this
    is."""
    robots = b"User-agent: *\nDisallow: /\n"
    patterns = [_file("robots.txt", robots, "text/plain; charset=utf-8")]
    if settings.SSE_INDEX_ENABLED:
        patterns += [path("", require_safe(index))]
        for name, kind in ("favicon.ico", "x-icon"), ("favicon.svg", "svg+xml"):
            content = (_ICONS / name).read_bytes()
            patterns.append(_file(name, content, f"image/{kind}"))
    return patterns


def _file(name: str, content: bytes, kind: str) -> URLPattern:
    """The route to a small file that never changes."""
    headers = {"Cache-Control": "public, max-age=86400"}

    def serve(request: HttpRequest) -> HttpResponse:
        return _complete(HttpResponse(content, content_type=kind, headers=headers))

    return path(name, require_safe(serve))


def _index_json(ready: bool) -> HttpResponse:
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
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return _complete(JsonResponse(body, headers=headers))


def _page(
    template: str, status: HTTPStatus, context: dict[str, object]
) -> HttpResponse:
    html = render_to_string(template, context)
    return _complete(HttpResponse(html, status=status, headers=_page_headers()))


@lru_cache
def _page_headers() -> dict[str, str]:
    """What goes with a page: nothing may be loaded but its own style and our icon."""
    style = render_to_string("front/style.css").encode()
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
    }


def _complete(response: HttpResponse) -> HttpResponse:
    """`response` with its length, so that it need not be sent in chunks."""
    response["Content-Length"] = str(len(response.content))
    return response
