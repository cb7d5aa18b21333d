"""The environments, as rows of a table, and which one a page is about."""

from dataclasses import dataclass

from asgiref.sync import async_to_sync
from django.http import HttpRequest

from realtime.admin.answering import agent_of, realtime_settings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.environment.key_lookup import find_keys
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.history.fleet_history import Series
from realtime.fleet.key_shortening import is_shortened


@dataclass(frozen=True)
class EnvironmentRow:
    """An environment by its shortened key: its subscribers, or `at_least` so many, now
    and in each minute of the last hour, and the seconds since its latest update; None:
    there was none in the past hour."""

    key: str
    subscribers: int
    at_least: bool
    series: Series
    age: float | None


def environment_rows(shown: FleetReport, now: float) -> list[EnvironmentRow]:
    """The busiest, at `now` (Unix seconds)."""
    hours = {hour.environment: hour.subscribers for hour in shown.history.busiest}
    return [
        EnvironmentRow(
            busy.environment,
            busy.subscribers,
            busy.at_least,
            hours.get(busy.environment, ()),
            None if busy.stored_at is None else now - busy.stored_at,
        )
        for busy in shown.busiest
    ]


def asked_for(request: HttpRequest, field: str) -> tuple[str, str]:
    """The environment key that the request's `field` names, and what is wrong with it.
    A shortened one, as it is in links, becomes the whole one, if there is just one."""
    given = request.GET.get(field, "").strip()
    if not is_shortened(given):
        return given, ""
    try:
        found = async_to_sync(find_keys)(realtime_settings(), given, agent_of(request))
    except NatsUnavailable as error:
        return "", f"{given} cannot be looked up: {error}"
    if len(found) == 1:
        return found[0], ""
    if found:
        return "", f"{given} may be one of several environments: give the whole key."
    return "", f"No instance knows {given} any more: give the whole key."
