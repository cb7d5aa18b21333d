"""The addresses that a probe from the admin may go to.

It sends the secret there, so none is taken that whoever asks has made up: neither in a
form nor in the header `Host`, which Django takes as it is where any is allowed.
"""

import ipaddress
from typing import Any, Final, NamedTuple

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from realtime.admin.answering import service_of
from realtime.loadtest.target import Target

USUAL_PORTS: Final = ("", "80", "443")


class Places(NamedTuple):
    """`urls` are on offer, the likeliest first; `withheld` is the address of the page
    itself, where it could be anybody's."""

    urls: list[str]
    withheld: str | None


def places(request: HttpRequest) -> Places:
    """Where a probe that is asked for by `request` may go to."""
    named = [
        *getattr(django_settings, "SSE_PUBLIC_URLS", ()),
        getattr(django_settings, "SSE_SERVER_BASE_URL", None) or "",
    ]
    urls = [url.rstrip("/") for url in named if _is_url(url)]
    own = f"{request.scheme}://{request.get_host()}"
    if service_of(request) is None or own in urls:
        # Another process serves the streams, and not at the page's address.
        return Places(_once(urls), None)
    if _is_ours(request):
        return Places(_once([own, *urls]), None)
    return Places(_once(urls), own)


def _is_url(url: str) -> bool:
    try:
        Target.of(url)
    except ValueError:
        return False
    return True


def _once(urls: list[str]) -> list[str]:
    return list(dict.fromkeys(urls))


def _is_ours(request: HttpRequest) -> bool:
    """Whether the host that `request` names is certainly this service: one that the
    settings name, or the address to which the connection itself was made."""
    name, port = split_domain_port(request.get_host())
    scope: dict[str, Any] = getattr(request, "scope", {})
    address, listening = scope.get("server") or ("", None)
    address = address.removeprefix("::ffff:")
    if name in django_settings.ALLOWED_HOSTS and name != "*":
        return port in (*USUAL_PORTS, str(listening))
    if request.is_secure() or port != str(listening):
        return False
    return name.strip("[]") == address or (
        name == "localhost" and _is_loopback(address)
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
