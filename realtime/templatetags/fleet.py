"""Template filters of the pages in the admin."""

from datetime import UTC, datetime

from django import template

from realtime.fleet import units
from realtime.fleet.publish_findings import from_addresses
from realtime.fleet.verdict import state_of
from realtime.jetstream.stream_config import Setting

register = template.Library()

register.filter("duration", units.duration)
register.filter("latency", units.latency)
register.filter("size", units.size)
register.filter("state", state_of)
register.filter("addresses", from_addresses)


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


@register.filter
def words(setting: Setting, which: str) -> str:
    """What a setting is (`actual`) or should be (`expected`), its nanoseconds in
    words."""
    value = setting.actual if which == "actual" else setting.expected
    if setting.name in ("max_age", "duplicate_window") and value.isdecimal():
        return units.duration(int(value) / 1e9)
    return value.strip('"')
