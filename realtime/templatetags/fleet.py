"""Template filters and tags of the pages in the admin."""

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from django import template
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from realtime.fleet import units
from realtime.fleet.timeline.event_text import EventText
from realtime.fleet.verdict.publish_findings import from_addresses
from realtime.jetstream.stream_config import Setting

register = template.Library()

_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]+)?")
_LAST_YEAR: Final = 2e11
"""Seconds since 1970, before the year 9999."""

register.filter("duration", units.duration)
register.filter("latency", units.latency)
register.filter("size", units.size)

register.filter("addresses", from_addresses)


@register.filter
def number(value: float) -> str:
    """With a separator of thousands."""
    return f"{value:,}"


@register.filter
def since(now: float, then: float) -> str:
    """How long before `now` something was, both in Unix seconds."""
    return units.duration(now - then)


@register.filter
def clock(unix: float) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")


@register.filter
def moment(updated_at: str) -> str:
    """The date and the time of an update, UTC; nothing if its number is none."""
    seconds = float(updated_at) if _NUMBER.fullmatch(updated_at) else 0.0
    if not 0 < seconds < _LAST_YEAR:
        return ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


@register.filter
def words(setting: Setting, which: str) -> str:
    """What a setting is (`actual`) or should be (`expected`), its nanoseconds in
    words."""
    value = setting.actual if which == "actual" else setting.expected
    if setting.name in ("max_age", "duplicate_window") and value.isdecimal():
        return units.duration(int(value) / 1e9)
    return value.strip('"')


@register.simple_tag
def title_of(story: EventText, number: int) -> SafeString:
    """The title of the story that is the `number`th, in which its environment is a link
    to what is known of it."""
    before, key, after = story.title.partition(story.environment or "\0")
    if not key:
        return escape(story.title)
    return format_html(
        '{}<a id="story-{}" href="{}?key={}">{}</a>{}',
        before,
        number,
        reverse("admin:realtime_fleet_environment"),
        quote(key),
        key,
        after,
    )


@register.simple_tag
def time_of(unix: float, now: float) -> SafeString:
    """A time of day, UTC, as a `<time>`; with the date where it is not today's."""
    at, today = (datetime.fromtimestamp(one, UTC) for one in (unix, now))
    written = at.strftime("%H:%M:%S" if at.date() == today.date() else "%d %b %H:%M:%S")
    machine = at.isoformat(timespec="seconds")
    return format_html('<time datetime="{}">{}</time>', machine, written)
