"""What the page about one environment shows, and to whom."""

from http import HTTPStatus
from typing import Any

from asgiref.sync import async_to_sync

from realtime.conf import RealtimeSettings
from realtime.environments import is_environment_key
from realtime.fleet.agent import Agent
from realtime.fleet.environment.report import survey_environment
from realtime.fleet.key_shortening import shortened


def environment_page(
    key: str,
    settings: RealtimeSettings,
    agent: Agent | None,
    *,
    whole_keys: bool,
) -> tuple[HTTPStatus, dict[str, Any]]:
    """The status of the page about `key`, and what its template needs. Without
    `whole_keys` nothing in it is the key, not even that which was asked for."""
    context: dict[str, Any] = {
        "title": "Environment",
        "key": "",
        "report": None,
        "fault": None,
    }
    if not key:
        return HTTPStatus.OK, context
    shown = key if whole_keys else shortened(key)
    if not is_environment_key(key):
        context["fault"] = f"{shown[:100]} cannot be an environment key."
        return HTTPStatus.BAD_REQUEST, context
    report = async_to_sync(survey_environment)(settings, key, agent)
    context.update(
        key=key if whole_keys else "",
        name=shown,
        report=report,
    )
    return HTTPStatus.OK, context
