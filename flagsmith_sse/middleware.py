"""What Django's own middleware lacks: whose forwarded headers count, and the admin's
files without a web server in front."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from whitenoise.middleware import WhiteNoiseMiddleware

from realtime.http.client_address import TrustedProxies

FORWARDED: Final = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)


class ForwardedMiddleware(MiddlewareMixin):
    """Takes forwarded headers away from a request that does not come from
    `FORWARDED_ALLOW_IPS`: any client can send them. Where they say `https`
    (`SECURE_PROXY_SSL_HEADER`), cookies are for `https` only.

    It must be the first middleware.
    """

    def process_request(self, request: HttpRequest) -> None:
        trusted = TrustedProxies(settings.FORWARDED_ALLOW_IPS)
        if not trusted.trusts(request.META.get("REMOTE_ADDR", "")):
            for header in FORWARDED:
                request.META.pop(header, None)

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # untyped
    """WhiteNoise, with a file as one body: Django warns of a file that is read by a
    synchronous iterator under ASGI."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        served = WhiteNoiseMiddleware.serve(static_file, request)
        content = b"".join(served.streaming_content)
        served.close()
        return HttpResponse(content, status=served.status_code, headers=served.headers)
