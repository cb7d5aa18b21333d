"""Template filters of the pages in the admin."""

from datetime import UTC, datetime

from django import template

from realtime import presentation
from realtime.jetstream.stream_config import Setting
from realtime.verdict import state_of

register = template.Library()

register.filter("duration", presentation.duration)
register.filter("latency", presentation.latency)
register.filter("size", presentation.size)
register.filter("state", state_of)


@register.filter
def number(value: int) -> str:
    """With a separator of thousands."""
    return f"{value:,}"


@register.filter
def since(now: float, then: float) -> str:
    """How long before `now` something was, both in Unix seconds."""
    return presentation.duration(now - then)


@register.filter
def clock(unix: float) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")


@register.filter
def words(setting: Setting, which: str) -> str:
    """What a setting is (`actual`) or should be (`expected`), its nanoseconds in
    words."""
    value = setting.actual if which == "actual" else setting.expected
    if setting.name in ("max_age", "duplicate_window") and value.isdecimal():
        return presentation.duration(int(value) / 1e9)
    return value.strip('"')
