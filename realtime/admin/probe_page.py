"""The page that probes: from the publish to the client, and each step with its time."""

import socket
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse

from realtime.admin.action_log import log_action, log_outcome
from realtime.admin.probe_addresses import probe_addresses
from realtime.admin.view_helpers import ask, render
from realtime.environments import probe_environment
from realtime.probing.probe import Plan
from realtime.probing.read_survey import probe_and_ask_instances
from realtime.tokens import configured_token, tokens_in

HOP_SECONDS: Final = 5.0
"""Whoever has clicked waits; Daphne shows nobody else a page meanwhile."""

CANNOT_PUBLISH: Final = "There is no SSE_AUTHENTICATION_TOKEN here to publish with."


def probe(request: HttpRequest) -> HttpResponse:
    """Offers the addresses that a probe may go to, and tells what came of it."""
    tokens = tokens_in(configured_token())
    offered, withheld = probe_addresses(request)
    url = request.POST.get("url", "").strip().rstrip("/")
    posted = request.method == "POST"
    error = result = None
    if not tokens:
        error = CANNOT_PUBLISH
    elif posted and url not in offered:
        error = "The secret is sent only to the addresses below."
    elif posted:
        entry = log_action(request, url, "Probe")
        plan = Plan(
            url=url,
            token=tokens[0],
            environment=probe_environment("admin", socket.gethostname()),
            seconds=HOP_SECONDS,
        )
        result = ask(request, probe_and_ask_instances, plan)
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
