"""What the fleet's pages have in common: who asks, whom they ask, how they answer."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, TypeVar

from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.agent import Agent
from realtime.fleet.environment.key_lookup import find_keys
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.key_shortening import is_shortened
from realtime.fleet.overview import gather
from realtime.fleet.survey import tell_everybody
from realtime.fleet.timeline.events import MOST_WORDS, Dismissed, TestUpdate
from realtime.fleet.wire_types import encode
from realtime.http.asgi import SERVICE
from realtime.service import RealtimeService

VIEW: Final = "realtime.view_fleet"
OPERATE: Final = "realtime.operate_fleet"

T = TypeVar("T")


def may_operate(request: HttpRequest) -> bool:
    """Whether the user may act on the fleet, and see whole environment keys."""
    return request.user.has_perm(OPERATE)


def user_name(request: HttpRequest) -> str:
    return request.user.get_username()[:MOST_WORDS]


def service_of(request: HttpRequest) -> RealtimeService | None:
    """This process's own service, if it runs one."""
    service: RealtimeService | None = getattr(request, "scope", {}).get(SERVICE)
    return service


def agent_of(request: HttpRequest) -> Agent | None:
    """What asks the fleet for this process, if it runs a service."""
    service = service_of(request)
    return service.agent if service else None


def streams_base(request: HttpRequest) -> str:
    """Where a browser finds the streams: here, if this process serves them."""
    if service_of(request) is not None:
        return ""
    base: str = getattr(django_settings, "SSE_SERVER_BASE_URL", "")
    return base.rstrip("/")


def ask(
    request: HttpRequest,
    question: Callable[..., Coroutine[Any, Any, T]],
    *arguments: object,
    **more: object,
) -> T:
    """Put a question of `realtime.fleet` to the instances: over NATS as the settings
    have it, and over this process's own connection if it runs a service."""
    settings = RealtimeSettings.from_django(hosting=False)
    agent = agent_of(request)
    return async_to_sync(question)(settings, *arguments, agent=agent, **more)


def fleet_report(request: HttpRequest) -> FleetReport:
    """The fleet now."""
    return ask(request, gather)


def environment_key(request: HttpRequest, field: str) -> tuple[str, str]:
    """The environment key that the request's `field` names, and what is wrong with it.
    A shortened one, as it is in links, becomes the whole one, if there is just one."""
    given = request.GET.get(field, "").strip()
    if not is_shortened(given):
        return given, ""
    try:
        found = ask(request, find_keys, given)
    except NatsUnavailable as error:
        return "", f"{given} cannot be looked up: {error}"
    if len(found) == 1:
        return found[0], ""
    if found:
        return "", f"{given} may be one of several environments: give the whole key."
    return "", f"No instance knows {given} any more: give the whole key."


def remember(request: HttpRequest, event: Dismissed | TestUpdate) -> bool:
    """Have all instances remember what the user did, or, while NATS is away, this one;
    whether any does."""
    try:
        return ask(request, tell_everybody, event)
    except NatsUnavailable:
        agent = agent_of(request)
        if agent is not None:
            agent.remember(encode(event))
        return agent is not None


def render(
    request: HttpRequest,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **context: object,
) -> TemplateResponse:
    """A page; what all of them show is added by `FleetAdmin`."""
    name = f"admin/realtime/fleet/{template}.html"
    return TemplateResponse(request, name, context, status=status)


def redirect(request: HttpRequest, page: str, query: str = "") -> HttpResponse:
    url = reverse(f"admin:realtime_fleet_{page}", current_app=request.current_app)
    return HttpResponseRedirect(f"{url}?{query}" if query else url)
