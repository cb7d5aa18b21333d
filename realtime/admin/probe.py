"""The page that probes: from the publish to the client, and each step with its time."""

import socket
from http import HTTPStatus
from typing import Final

from asgiref.sync import async_to_sync
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from realtime.admin.answering import agent_of, realtime_settings, render
from realtime.admin.log import log_action, log_outcome
from realtime.admin.places import places
from realtime.conf import RealtimeSettings
from realtime.environments import probe_environment
from realtime.fleet.agent import Agent
from realtime.probing.probe import Plan, probe
from realtime.probing.readers import asked_over_nats
from realtime.probing.result import Result

HOP_SECONDS: Final = 5.0
"""Whoever has clicked waits; Daphne shows nobody else a page meanwhile."""

CANNOT_PUBLISH: Final = "There is no SSE_AUTHENTICATION_TOKEN here to publish with."


@require_http_methods(["GET", "HEAD", "POST"])
def probe_page(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Offers the addresses that a probe may go to, and tells what came of it."""
    settings = realtime_settings()
    offered = places(request)
    url = request.POST.get("url", "").strip().rstrip("/")
    posted = request.method == "POST"
    error = result = None
    if not settings.authentication_tokens:
        error = CANNOT_PUBLISH
    elif posted and url not in offered.urls:
        error = "The secret is sent only to the addresses below."
    elif posted:
        entry = log_action(request, url, "Probe")
        result = async_to_sync(_probe)(url, settings, agent_of(request))
        log_outcome(entry, str(result.fault or result.text))
    return render(
        request,
        site,
        "probe",
        title="Probe",
        places=offered,
        url=url,
        result=result,
        error=error,
        status=HTTPStatus.BAD_REQUEST if error and posted else HTTPStatus.OK,
    )


async def _probe(url: str, settings: RealtimeSettings, agent: Agent | None) -> Result:
    plan = Plan(
        url=url,
        token=settings.authentication_tokens[0],
        environment=probe_environment("admin", socket.gethostname()),
        seconds=HOP_SECONDS,
    )
    async with asked_over_nats(settings, agent) as readers:
        return await probe(plan, readers)
