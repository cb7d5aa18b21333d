"""The few pages of the service itself, which are seen without the admin: HTML for
browsers, Django REST framework's JSON for everybody else."""

import base64
import hashlib
from functools import lru_cache
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string


def wants_html(accept: str) -> bool:
    """Whether the header `Accept` is one of a browser that shows a page."""
    return "text/html" in accept


@lru_cache
def page_headers() -> dict[str, str]:
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


def page_response(
    request: HttpRequest,
    template: str,
    status: HTTPStatus,
    *,
    detail: str,
    **context: object,
) -> HttpResponse:
    """`template` for a browser, `{"detail": …}` for anybody else."""
    if not wants_html(request.headers.get("Accept", "")):
        return JsonResponse(
            {"detail": detail}, status=status, headers={"Vary": "Accept"}
        )
    html = render_to_string(template, {"detail": detail, **context})
    return HttpResponse(html, status=status, headers=page_headers())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`. With `SSE_INDEX_ENABLED` off it does not say what is
    here."""
    detail = "Not found."
    if not settings.SSE_INDEX_ENABLED:
        return JsonResponse({"detail": detail}, status=HTTPStatus.NOT_FOUND)
    return page_response(
        request, "front/not_found.html", HTTPStatus.NOT_FOUND, detail=detail
    )
