"""Liveness and readiness, from what this process knows: no NATS traffic, no database,
no thread, so that they answer whatever else is stuck."""

from http import HTTPStatus

from realtime.asgi import Receive, Scope, service_in
from realtime.http import Response, View


class LivenessView(View):
    """200 while the process can accept connections."""

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        return Response(HTTPStatus.OK, {"status": "ok"})


class ReadinessView(View):
    """200 if updates flow and new streams are welcome; else 503 with the reason."""

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        reason = service_in(scope).not_ready
        if reason is None:
            return Response(HTTPStatus.OK, {"status": "ok"})
        return Response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"status": "unavailable", "detail": reason},
        )
