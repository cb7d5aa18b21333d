"""Views that tell the SDKs of a change, as those of the Flagsmith API would."""

from datetime import datetime

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse

from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.hosting import service_in
from realtime.publisher import apublish_environment_update
from tests.host_project.tasks import send_environment_update_message


def publish(request: HttpRequest, environment: str) -> HttpResponse:
    try:
        send_environment_update_message(environment, request.body.decode())
    except (NatsUnavailable, PublishFailed) as error:
        return HttpResponse(str(error), status=503)
    return HttpResponse(status=202)


async def apublish(request: HttpRequest, environment: str) -> HttpResponse:
    await apublish_environment_update(
        environment, datetime.fromisoformat(request.body.decode())
    )
    return HttpResponse(status=202)


def liveness(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the project lives")


def readiness(request: ASGIRequest) -> HttpResponse:
    """Of the project and of its real-time updates."""
    ready = service_in(request.scope).not_ready is None
    return HttpResponse(status=200 if ready else 503)
