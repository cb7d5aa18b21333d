"""CORS for the endpoints that bypass Django's middleware.

django-cors-headers decides, from the same settings, with its own middleware: what it
adds to a response is asked once per kind of request and remembered.
"""

import re
from functools import lru_cache
from typing import Final

from corsheaders.conf import conf
from corsheaders.middleware import CorsMiddleware
from corsheaders.signals import check_request_enabled
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from realtime.http.asgi import Scope

CORS_HEADERS: Final = "realtime.cors_headers"
"""Where a scope keeps them whose request was forgotten."""

REMEMBERED: Final = 512
"""Kinds of requests: one or two for each origin."""

LONGEST_REMEMBERED: Final = 256
"""Characters of what clients send; more is asked again, at some 50 µs each."""

_Headers = tuple[tuple[bytes, bytes], ...]


def cors_headers(scope: Scope) -> _Headers:
    """The headers that django-cors-headers adds to the response to `scope`."""
    if (known := scope.get(CORS_HEADERS)) is not None:
        headers: _Headers = known
        return headers
    origin = private_network = b""
    for name, value in scope["headers"]:
        if name == b"origin":
            origin = value
        elif name == b"access-control-request-private-network":
            private_network = value
    preflight = scope["method"] == "OPTIONS"
    path: str | None = scope["path"]
    if not check_request_enabled.receivers:
        # Only whether it matches counts then, and paths differ more than all the rest.
        if not re.match(conf.CORS_URLS_REGEX, scope["path"]):
            return ()
        path = None
    if len(path or "") + len(origin) + len(private_network) > LONGEST_REMEMBERED:
        return _headers(path, preflight, origin, private_network)
    return _remembered(path, preflight, origin, private_network)


def is_preflight(scope: Scope) -> bool:
    """Whether `scope` is a browser asking for permission before the real request."""
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _headers(
    path: str | None, preflight: bool, origin: bytes, private_network: bytes
) -> _Headers:
    """`path` is None if it is known to match `CORS_URLS_REGEX`."""
    request = HttpRequest()
    request.method = "OPTIONS" if preflight else "GET"
    request.path = request.path_info = path or ""
    if origin:
        request.META["HTTP_ORIGIN"] = origin.decode("latin-1")
    if private_network:
        request.META["HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"] = (
            private_network.decode("latin-1")
        )
    # What the response had before is not CORS's.
    response = HttpResponse()
    del response.headers["Content-Type"]
    middleware = CorsMiddleware(lambda _: response)
    request._cors_enabled = path is None or middleware.is_enabled(request)  # type: ignore[attr-defined]  # as its own __call__ does
    middleware.add_response_headers(request, response)
    return tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
    )


_remembered = lru_cache(REMEMBERED)(_headers)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: object) -> None:
    if setting.startswith("CORS_"):
        _remembered.cache_clear()
