"""The page that probes: from the publish to the client, and each step with its time."""

import socket
from http import HTTPStatus
from typing import Final

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from realtime.admin.action_log import log_action, log_outcome
from realtime.admin.probe_addresses import probe_addresses
from realtime.admin.view_helpers import realtime_settings, render, service_of
from realtime.conf import RealtimeSettings
from realtime.environments import probe_environment
from realtime.probing.probe import Plan, run_probe
from realtime.probing.read_survey import read_survey_over_nats
from realtime.probing.result import Result
from realtime.service import RealtimeService

HOP_SECONDS: Final = 5.0
"""Whoever has clicked waits; Daphne shows nobody else a page meanwhile."""

CANNOT_PUBLISH: Final = "There is no SSE_AUTHENTICATION_TOKEN here to publish with."


@require_http_methods(["GET", "HEAD", "POST"])
def probe(request: HttpRequest) -> HttpResponse:
    """Offers the addresses that a probe may go to, and tells what came of it."""
    settings = realtime_settings()
    offered, withheld = probe_addresses(request)
    url = request.POST.get("url", "").strip().rstrip("/")
    posted = request.method == "POST"
    error = result = None
    if not settings.authentication_tokens:
        error = CANNOT_PUBLISH
    elif posted and url not in offered:
        error = "The secret is sent only to the addresses below."
    elif posted:
        entry = log_action(request, url, "Probe")
        result = async_to_sync(_probe)(url, settings, service_of(request))
        log_outcome(entry, str(result.fault or result.text))
    return render(
        request,
        "probe",
        title="Probe",
        offered=offered,
        withheld=withheld,
        url=url,
        result=result,
        error=error,
        status=HTTPStatus.BAD_REQUEST if error and posted else HTTPStatus.OK,
    )


async def _probe(
    url: str, settings: RealtimeSettings, service: RealtimeService | None
) -> Result:
    plan = Plan(
        url=url,
        token=settings.authentication_tokens[0],
        environment=probe_environment("admin", socket.gethostname()),
        seconds=HOP_SECONDS,
    )
    async with read_survey_over_nats(settings, service) as read_survey:
        return await run_probe(plan, read_survey)
