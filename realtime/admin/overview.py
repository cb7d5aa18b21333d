"""What the overview shows of a report."""

from dataclasses import dataclass
from typing import Literal

from realtime.admin.instance_rows import Row, known_instances, rows, summary
from realtime.admin.tiles import Tile, tiles
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.history.fleet_history import Series
from realtime.fleet.messages import Busy

MARKS = {"well": "\N{CHECK MARK}", "degraded": "●", "down": "●"}


@dataclass(frozen=True)
class Overview:
    """`shown` has the figures: `now` they are those of the report itself, else those of
    the `last` look before NATS was lost, or, where there was none, this instance's
    `own`, which are no totals. Of the busiest `environments` it has the subscribers in
    each minute of the last hour, too."""

    shown: FleetReport
    figures: Literal["now", "last", "own"]
    title: str
    favicon: str
    rows: list[Row]
    summary: str
    tiles: list[Tile]
    environments: list[tuple[Busy, Series]]

    @property
    def most_of_an_instance(self) -> int:
        """Its subscribers: the longest bar."""
        reports = (row.report for row in self.rows if row.report)
        return max((one.subscribers for one in reports), default=0)

    @property
    def most_of_a_kind(self) -> int:
        """The subscribers of the most frequent kind of client."""
        return max((one.subscribers for one in self.shown.clients), default=0)

    @property
    def may_miss(self) -> bool:
        """Whether an environment that is not listed may have more subscribers than the
        last of the busiest."""
        last = self.shown.busiest[-1].subscribers if self.shown.busiest else 0
        return self.shown.unnamed > last


def overview(report: FleetReport, *, may_operate: bool) -> Overview:
    """What there is to show of `report`, to somebody who `may_operate` or not."""
    figures: Literal["now", "last", "own"] = "now"
    if report.nats_error:
        figures = "last" if report.last_known else "own"
    shown = report.last_known or report
    hours = {hour.environment: hour.subscribers for hour in shown.history.busiest}
    level = report.verdict.level
    return Overview(
        shown=shown,
        figures=figures,
        title=f"{MARKS[level]} {report.verdict.title}",
        favicon=f"realtime/favicon-{level}.svg",
        rows=rows(report, may_drain=may_operate),
        summary=summary(known_instances(report)) if figures != "own" else "",
        tiles=tiles(shown),
        environments=[
            (busy, hours.get(busy.environment, ())) for busy in shown.busiest
        ],
    )
