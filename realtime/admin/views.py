"""The pages of the admin that show the fleet and act on it."""

import time
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_safe

from realtime.admin.log import log_action, log_outcome
from realtime.asgi import SERVICE
from realtime.conf import RealtimeSettings
from realtime.environments import is_environment_key
from realtime.exceptions import NatsUnavailable, PublishFailed
from realtime.fleet.events import MOST_WORDS, Dismissed, TestUpdate
from realtime.fleet.messages import LONGEST_TEXT, encode, shortened
from realtime.fleet.overview import FleetReport, as_json, gather
from realtime.fleet.roundtrip import Probe, send_test_update
from realtime.fleet.survey import drain_instance, find_instance, tell_everybody
from realtime.fleet.units import latency
from realtime.models import Fleet
from realtime.service import RealtimeService

VIEW: Final = "realtime.view_fleet"
OPERATE: Final = "realtime.operate_fleet"

_View = Callable[..., HttpResponse]


def fleet_urls(site: AdminSite) -> list[URLPattern]:
    """The pages' URLs, for those who may see the fleet, or act on it too."""

    def page(route: str, view: _View, name: str, *more_permissions: str) -> URLPattern:
        @wraps(view)
        def guarded(request: HttpRequest, **arguments: str) -> HttpResponse:
            if not request.user.has_perms((VIEW, *more_permissions)):
                raise PermissionDenied
            response = view(request, site, **arguments)
            response["Content-Security-Policy"] = _policy(request)
            return response

        return path(route, site.admin_view(guarded), name=f"realtime_fleet_{name}")

    return [
        page("", health, "changelist"),
        page("live/", live, "live"),
        page("report.json", report_json, "report"),
        page("playground/", playground, "playground"),
        page("test-update/", test_update, "test_update", OPERATE),
        page("drain/<slug:instance>/", drain, "drain", OPERATE),
        page("dismiss/<slug:instance>/", dismiss, "dismiss", OPERATE),
    ]


@require_safe
def health(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The overview."""
    return _render(
        request, site, "health", title="Real-time health", report=_gather(request)
    )


@require_safe
def live(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The part of the overview that changes, for its script."""
    return _render(request, site, "report", report=_gather(request))


@require_safe
def report_json(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The same for machines."""
    return HttpResponse(as_json(_gather(request)), "application/json")


@require_safe
def playground(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Subscribe and publish from the browser."""
    return _render(
        request,
        site,
        "playground",
        title="Playground",
        environment=request.GET.get("environment", ""),
        streams=f"{_streams_base(request)}/sse/environments/",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def test_update(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Asks for an environment, asks for confirmation, sends. The playground's script,
    which asks by itself, gets the outcome as JSON."""
    posted = request.method == "POST"
    by_script = request.headers.get("Accept") == "application/json"
    given = request.POST if posted else request.GET
    environment = given.get("environment", "").strip()
    if posted and by_script and not is_environment_key(environment):
        return JsonResponse(
            {"outcome": f"Not sent. {environment} cannot be an environment key."},
            status=HTTPStatus.BAD_REQUEST,
        )
    if not posted or not is_environment_key(environment):
        return _render(
            request,
            site,
            "test_update",
            title="Send a test update",
            environment=environment,
            valid=is_environment_key(environment),
            status=HTTPStatus.BAD_REQUEST if posted else HTTPStatus.OK,
        )
    entry = log_action(request, environment, "Test update")
    updated_at = None
    try:
        probe = async_to_sync(send_test_update)(
            _settings(), environment, _service(request)
        )
        level, outcome, updated_at = messages.SUCCESS, _told(probe), probe.updated_at
        if len(probe.reached) < max(probe.instances, 1):
            level = messages.WARNING
    except NatsUnavailable as error:
        level, outcome = messages.ERROR, f"Not sent. {error}"
    except PublishFailed as error:
        level, outcome = messages.ERROR, f"Not confirmed. {error}"
    log_outcome(entry, outcome)
    _tell(
        request,
        TestUpdate(
            seen_by="admin",
            at=time.time(),
            environment=shortened(environment),
            by=_user(request),
            outcome=outcome[:LONGEST_TEXT],
        ),
    )
    if by_script:
        return JsonResponse({"outcome": outcome, "updated_at": updated_at})
    messages.add_message(request, level, f"Test update of {environment}: {outcome}")
    query = urlencode({"environment": environment})
    return _redirect(site, "test_update", query)


@require_http_methods(["GET", "HEAD", "POST"])
def drain(request: HttpRequest, site: AdminSite, instance: str) -> HttpResponse:
    """Asks for confirmation, then drains the instance."""
    error = "It does not answer."
    try:
        report = async_to_sync(find_instance)(_settings(), instance, _service(request))
    except NatsUnavailable as unavailable:
        report, error = None, str(unavailable)
    if report is None or request.method != "POST":
        return _render(
            request,
            site,
            "drain",
            title="Drain an instance",
            instance=report,
            name=instance,
            error=error,
            status=HTTPStatus.OK if report else HTTPStatus.NOT_FOUND,
        )
    entry = log_action(request, report.name, "Drain")
    try:
        agreed = async_to_sync(drain_instance)(
            _settings(), instance, _service(request), _user(request)
        )
    except NatsUnavailable as unavailable:
        agreed, error = False, str(unavailable)
    if agreed:
        outcome = (
            "It ends its streams one after the other and stops."
            if report.worker is None
            else "Its supervisor replaces it."
        )
    else:
        outcome = error
    log_outcome(entry, outcome)
    level = messages.SUCCESS if agreed else messages.ERROR
    messages.add_message(request, level, f"Drain of {report.name}: {outcome}")
    return _redirect(site, "changelist")


@require_http_methods(["GET", "HEAD", "POST"])
def dismiss(request: HttpRequest, site: AdminSite, instance: str) -> HttpResponse:
    """Asks for confirmation, then tells all instances not to expect one back."""
    report = _gather(request)
    names = {death.sighting.instance: death.sighting.name for death in report.dead}
    name = names.get(instance)
    if name is None or request.method != "POST":
        return _render(
            request,
            site,
            "dismiss",
            title="Dismiss an instance",
            instance=instance,
            name=name,
            error=report.nats_error or "It is not among those that died.",
            status=HTTPStatus.OK if name else HTTPStatus.NOT_FOUND,
        )
    entry = log_action(request, name, "Dismissal")
    told = Dismissed(
        seen_by="admin",
        at=time.time(),
        instance=instance,
        name=name[:MOST_WORDS],
        by=_user(request),
    )
    heard = _tell(request, told)
    outcome = "It is not expected back." if heard else "No instance has heard it."
    log_outcome(entry, outcome)
    level = messages.SUCCESS if heard else messages.ERROR
    messages.add_message(request, level, f"Dismissal of {name}: {outcome}")
    return _redirect(site, "changelist")


def _tell(request: HttpRequest, told: Dismissed | TestUpdate) -> bool:
    """Let all instances remember it; whether any has heard it."""
    service = _service(request)
    try:
        return async_to_sync(tell_everybody)(_settings(), told, service)
    except NatsUnavailable:
        if service is not None:
            service.agent.chronicle.on_told(encode(told))
        return service is not None


def _user(request: HttpRequest) -> str:
    return request.user.get_username()[:MOST_WORDS]


def _gather(request: HttpRequest) -> FleetReport:
    return async_to_sync(gather)(_settings(), _service(request))


def _service(request: HttpRequest) -> RealtimeService | None:
    """This process's own service, if it runs one."""
    service: RealtimeService | None = getattr(request, "scope", {}).get(SERVICE)
    return service


def _settings() -> RealtimeSettings:
    return RealtimeSettings.from_django(hosting=False)


def _told(probe: Probe) -> str:
    if not probe.reached and not probe.silent:
        return "Stored, but no instance answers."
    details = ", ".join(
        f"{one.name}: {one.subscribers} in {latency(one.seconds)}"
        for one in probe.reached
    )
    lost = f" No word from {', '.join(probe.silent)}." if probe.silent else ""
    return (
        f"{len(probe.reached)} of {max(probe.instances, len(probe.reached))} instances "
        f"told {probe.subscribers} "
        f"subscriber{pluralize(probe.subscribers)} within {latency(probe.seconds)} "
        f"({details}).{lost}"
    )


def _render(
    request: HttpRequest,
    site: AdminSite,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **context: object,
) -> HttpResponse:
    return TemplateResponse(
        request,
        f"admin/realtime/fleet/{template}.html",
        {
            **site.each_context(request),
            "opts": Fleet._meta,
            "may_operate": request.user.has_perm(OPERATE),
            **context,
        },
        status=status,
    )


def _redirect(site: AdminSite, page: str, query: str = "") -> HttpResponse:
    url = reverse(f"admin:realtime_fleet_{page}", current_app=site.name)
    return HttpResponseRedirect(f"{url}?{query}" if query else url)


def _streams_base(request: HttpRequest) -> str:
    """Where a browser finds the streams: here, if this process serves them."""
    if _service(request) is not None:
        return ""
    base: str = getattr(django_settings, "SSE_SERVER_BASE_URL", "")
    return base.rstrip("/")


def _policy(request: HttpRequest) -> str:
    """Nothing inline, nothing from elsewhere but what this project has there."""
    files = _origin(static("realtime/fleet.js"))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self'{files}",
            f"style-src 'self'{files}",
            f"img-src 'self'{files}",
            f"connect-src 'self'{_origin(_streams_base(request))}",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
