"""The figures of the whole fleet, each in a tile."""

from dataclasses import dataclass

from realtime.admin.rows import versions
from realtime.fleet.overview import FleetReport
from realtime.fleet.units import latency


@dataclass(frozen=True)
class Tile:
    """A figure, what is to know besides, and what of that is not as it should be."""

    key: str
    label: str
    value: str
    note: str = ""
    warning: str = ""


def tiles(shown: FleetReport) -> list[Tile]:
    """Of the figures that `shown` has."""
    slowest = max(
        (one.delivery_seconds.p99 for one in shown.instances if one.delivery_seconds),
        default=None,
    )
    lagging = shown.totals.lagging
    return [
        Tile(
            "subscribers",
            "Subscribers",
            f"{shown.totals.subscribers:,}",
            f"{lagging:,} lagging" if lagging else "",
        ),
        Tile("deliveries", "Deliveries", f"{shown.totals.updates_delivered:,}"),
        Tile(
            "p99",
            "Delivery p99, last minute",
            "\N{EN DASH}" if slowest is None else latency(slowest),
        ),
        Tile("rejections", "Rejections", f"{shown.totals.rejections:,}"),
        _instances(shown),
    ]


def _instances(shown: FleetReport) -> Tile:
    found = versions(shown.instances)
    newest = [f"{version} × {count}" for version, count, new in found if new]
    older = [f"{version} × {count}" for version, count, new in found if not new]
    if shown.missed:
        older.insert(0, f"{shown.missed} missing")
    return Tile(
        "instances",
        "Instances",
        f"{len(shown.instances):,}",
        ", ".join(newest),
        ", ".join(older[:3]),
    )
