"""What a proxy in front says of a request, for what Django serves."""

from ipaddress import ip_address, ip_network
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

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
    if "*" in settings.FORWARDED_ALLOW_IPS:
        return True
    try:
        peer = ip_address(address)
    except ValueError:
        return False  # a Unix socket has none
    # A dual-stack socket sees IPv4 peers as ::ffff:192.0.2.1.
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return any(peer in ip_network(item) for item in settings.FORWARDED_ALLOW_IPS)
