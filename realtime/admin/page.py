"""What the overview shows of a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from realtime.admin.environments import EnvironmentRow, environment_rows
from realtime.admin.rows import Row, known_instances, rows, summary
from realtime.admin.tiles import Tile, tiles
from realtime.fleet.client_kinds import ClientCount
from realtime.fleet.fleet_report import FleetReport

MARKS = {"well": "\N{CHECK MARK}", "degraded": "●", "down": "●"}


@dataclass(frozen=True)
class ClientRow:
    """A kind of clients, and the length of its bar in hundredths of the longest."""

    count: ClientCount
    share: float


@dataclass(frozen=True)
class Overview:
    """`shown` has the figures: `now` they are those of the report itself, else those of
    the `last` look before NATS was lost, or, where there was none, this instance's
    `own`, which are no totals."""

    shown: FleetReport
    figures: Literal["now", "last", "own"]
    title: str
    favicon: str
    rows: list[Row]
    summary: str
    tiles: list[Tile]
    environments: list[EnvironmentRow]
    clients: list[ClientRow]

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
    level = report.verdict.level
    return Overview(
        shown=shown,
        figures=figures,
        title=f"{MARKS[level]} {report.verdict.title}",
        favicon=f"realtime/favicon-{level}.svg",
        rows=rows(report, may_drain=may_operate),
        summary=summary(known_instances(report)) if figures != "own" else "",
        tiles=tiles(shown),
        environments=environment_rows(shown, report.at),
        clients=_clients(shown.clients),
    )


def _clients(counts: Sequence[ClientCount]) -> list[ClientRow]:
    most = max((one.subscribers for one in counts), default=1)
    return [ClientRow(one, 100 * one.subscribers / most) for one in counts]
