"""What a proxy in front says of a request, for what Django serves."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from realtime.http.client_address import TrustedProxies

HEADERS: Final = (
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
        if not is_trusted(request.META.get("REMOTE_ADDR", "")):
            for header in HEADERS:
                request.META.pop(header, None)

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response


def is_trusted(address: str) -> bool:
    """Whether `address`, an IP address or empty, is one of `FORWARDED_ALLOW_IPS`."""
    return TrustedProxies(settings.FORWARDED_ALLOW_IPS).trusts(address)
