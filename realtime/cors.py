"""CORS for the endpoints that bypass Django's middleware.

django-cors-headers decides, from the same settings, with its own middleware: what it
adds to a response is asked once per kind of request and remembered.
"""

from functools import lru_cache

from corsheaders.middleware import CorsMiddleware
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from realtime.asgi import Scope

_Headers = tuple[tuple[bytes, bytes], ...]


def cors_headers(scope: Scope) -> _Headers:
    """The headers that django-cors-headers adds to the response to `scope`."""
    origin: bytes | None = None
    private_network: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"origin":
            origin = value
        elif name == b"access-control-request-private-network":
            private_network = value
    preflight = scope["method"] == "OPTIONS"
    return _headers(scope["path"], preflight, origin, private_network)


def is_preflight(scope: Scope) -> bool:
    """Whether `scope` is a browser asking for permission before the real request."""
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


# Bounded, because every part of the key comes from clients. A miss costs some 50 µs.
@lru_cache(maxsize=4096)
def _headers(
    path: str, preflight: bool, origin: bytes | None, private_network: bytes | None
) -> _Headers:
    request = HttpRequest()
    request.method = "OPTIONS" if preflight else "GET"
    request.path = request.path_info = path
    if origin is not None:
        request.META["HTTP_ORIGIN"] = origin.decode("latin-1")
    if private_network is not None:
        request.META["HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"] = (
            private_network.decode("latin-1")
        )
    # What the response had before is not CORS's.
    response = HttpResponse()
    del response.headers["Content-Type"]
    middleware = CorsMiddleware(lambda _: response)
    request._cors_enabled = middleware.is_enabled(request)  # type: ignore[attr-defined]  # as its own __call__ does
    middleware.add_response_headers(request, response)
    return tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
    )


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: object) -> None:
    if setting.startswith("CORS_"):
        _headers.cache_clear()
