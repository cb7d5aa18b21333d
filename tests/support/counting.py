"""The service's settings, counting how often the process connects to its database:
`DJANGO_SETTINGS_MODULE=tests.support.counting`. Django's own answers tell."""

from collections.abc import Callable
from typing import Any, Final

from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse

from flagsmith_sse.settings import *  # noqa: F403  Django's way to extend settings
from flagsmith_sse.settings import MIDDLEWARE as _MIDDLEWARE

HEADER: Final = "X-Database-Connections"

_connections: list[Any] = []
connection_created.connect(
    lambda connection, **_: _connections.append(connection), weak=False
)


def tell(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response[HEADER] = str(len(_connections))
        return response

    return middleware


MIDDLEWARE = ["tests.support.counting.tell", *_MIDDLEWARE]
