"""The addresses that a probe from the admin may go to.

It sends the secret there, so none is taken that whoever asks has made up: neither in a
form nor in the header `Host`, which Django takes as it is where any is allowed.
"""

from contextlib import suppress
from typing import Any, Final

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from realtime.admin.view_helpers import service_of
from realtime.http.url import HttpUrl

USUAL_PORTS: Final = ("", "80", "443")


def probe_addresses(request: HttpRequest) -> tuple[list[str], str | None]:
    """The base URLs on offer to `request`, the likeliest first; and the address of the
    page itself, where it is withheld because it could be anybody's."""
    offered = []
    for url in (
        *getattr(django_settings, "SSE_PUBLIC_URLS", ()),
        getattr(django_settings, "SSE_SERVER_BASE_URL", None) or "",
    ):
        with suppress(ValueError):
            HttpUrl.parse(url)
            offered.append(url.rstrip("/"))
    own, withheld = f"{request.scheme}://{request.get_host()}", None
    # Otherwise another process serves the streams, and not at the page's address.
    if service_of(request) is not None and own not in offered:
        if _is_ours(request):
            offered.insert(0, own)
        else:
            withheld = own
    return list(dict.fromkeys(offered)), withheld


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
    is_loopback = address.startswith("127.") or address == "::1"
    return name.strip("[]") == address or (name == "localhost" and is_loopback)
