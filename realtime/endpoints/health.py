"""Liveness and readiness, from what this process knows: no NATS traffic, no database,
no thread, so that they answer whatever else is stuck."""

from http import HTTPStatus

from realtime import metrics
from realtime.http.asgi import Receive, Scope, Send, connection_in
from realtime.http.view import Response, View
from realtime.lifecycle import Phase
from realtime.service import RealtimeService


class HealthView(View):
    """Counts what it writes."""

    def __init__(self, service: RealtimeService) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = connection_in(scope)
        closed = connection is not None and connection.transport.is_closing()
        await super().__call__(scope, receive, send)
        if closed or (connection is not None and connection.broke):
            metrics.http_errors["healthcheck"].inc()
        else:
            metrics.http_writes["healthcheck"].inc()


class LivenessView(HealthView):
    """200 while the process can accept connections. Just before it stops to, the
    connection is closed instead: Caddy asks here before it passes an update on, and
    looks for another instance then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = connection_in(scope)
        if connection is not None and self._service.lifecycle.phase is Phase.CLOSING:
            connection.transport.abort()
        await super().__call__(scope, receive, send)

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        return Response(HTTPStatus.OK, {"status": "ok"})


class ReadinessView(HealthView):
    """200 if updates flow and new streams are welcome; else 503 with the reason."""

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        refusal = self._service.not_ready
        if refusal is None:
            return Response(HTTPStatus.OK, {"status": "ok"})
        return Response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"status": "unavailable", "detail": refusal.detail},
        )
