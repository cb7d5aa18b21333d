"""Template filters of the pages in the admin."""

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from realtime.fleet import units
from realtime.fleet.verdict import state_of
from realtime.jetstream.stream_config import Setting

register = template.Library()

register.filter("duration", units.duration)
register.filter("latency", units.latency)
register.filter("size", units.size)
register.filter("state", state_of)


@register.filter
def number(value: int) -> str:
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


@register.simple_tag
def moment(unix: float, now: float) -> SafeString:
    """A time of day, UTC, as a `<time>`; with the date where it is not today's."""
    try:
        at, today = (datetime.fromtimestamp(one, UTC) for one in (unix, now))
    except (ValueError, OverflowError, OSError):
        return format_html("{}", "?")
    written = at.strftime("%H:%M:%S" if at.date() == today.date() else "%d %b %H:%M:%S")
    machine = at.isoformat(timespec="seconds")
    return format_html('<time datetime="{}">{}</time>', machine, written)


@register.filter
def words(setting: Setting, which: str) -> str:
    """What a setting is (`actual`) or should be (`expected`), its nanoseconds in
    words."""
    value = setting.actual if which == "actual" else setting.expected
    if setting.name in ("max_age", "duplicate_window") and value.isdecimal():
        return units.duration(int(value) / 1e9)
    return value.strip('"')
