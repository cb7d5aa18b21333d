"""The figures of the whole fleet, each in a tile."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from realtime.admin.instance_rows import versions
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.history.fleet_history import FleetHistory
from realtime.fleet.units import latency
from realtime.fleet.verdict.death_findings import hosts_of

UNKNOWN: Final = "\N{EN DASH}"


@dataclass(frozen=True)
class Tile:
    """A figure, what is to know besides, what of that is not as it should be, and its
    last hour: of `number`s, or `latency` in seconds."""

    key: str
    label: str
    value: str
    note: str = ""
    warning: str = ""
    series: tuple[float | None, ...] = ()
    kind: str = "number"


def tiles(shown: FleetReport) -> list[Tile]:
    """Of the figures that `shown` has."""
    history = shown.history
    lagging = shown.totals.lagging
    return [
        Tile(
            "subscribers",
            "Subscribers",
            f"{shown.totals.subscribers:,}",
            _change(history),
            f"{lagging:,} lagging" if lagging else "",
            history.subscribers,
        ),
        Tile(
            "deliveries",
            "Delivered per minute",
            _counted(history.deliveries[-1]),
            series=history.deliveries,
        ),
        Tile(
            "p99",
            "Delivery p99",
            _slowest(shown),
            series=history.delivery_p99,
            kind="latency",
        ),
        Tile(
            "rejections",
            "Rejected per minute",
            _counted(history.rejections[-1]),
            _worst_minute(history),
            series=history.rejections,
        ),
        _instances(shown),
    ]


def _change(history: FleetHistory) -> str:
    """Since the beginning of the hour, if that is known."""
    change, before = history.subscribers_change, history.subscribers_before
    if not change or before is None:
        return ""
    arrow = "▲" if change > 0 else "▼"
    return f"{arrow} {abs(change):,} in {before[1] / 60:.0f} min"


def _worst_minute(history: FleetHistory) -> str:
    """The worst minute of the hour, if it was not the last."""
    counts = [count or 0 for count in history.rejections]
    most = max(counts)
    if not most or most == counts[-1]:
        return ""
    place = len(counts) - counts[::-1].index(most)
    began = history.until - (len(counts) - place + 1) * history.seconds
    return f"{most:,} at {datetime.fromtimestamp(began, UTC):%H:%M}"


def _slowest(shown: FleetReport) -> str:
    """In the last minute: of the slowest instance."""
    p99 = [one.delivery_seconds.p99 for one in shown.instances if one.delivery_seconds]
    return latency(max(p99)) if p99 else UNKNOWN


def _counted(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _instances(shown: FleetReport) -> Tile:
    found = [f"{version} × {count}" for version, count in versions(shown.instances)]
    newest, older = found[:1], found[1:]
    hosts = hosts_of(shown.instances)
    if shown.expected:
        newest.insert(0, f"{hosts:,} of {shown.expected:,} hosts expected")
    if shown.missed:
        older.insert(0, f"{shown.missed} missing")
    return Tile(
        "instances",
        "Instances",
        f"{len(shown.instances):,}",
        " · ".join(newest),
        ", ".join(older[:3]),
    )
