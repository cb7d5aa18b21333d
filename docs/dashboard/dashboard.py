"""Grafana's dashboard as Python: `make dashboard` writes
docker/grafana/dashboards/realtime.json anew."""

import json
from itertools import count
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from docs.dashboard.panels import DATASOURCE
from docs.dashboard.rows import ROWS

FILE: Final = (
    Path(__file__).parents[2] / "docker" / "grafana" / "dashboards" / "realtime.json"
)


def variable(name: str, label: str, of: str) -> QueryVariable:
    """Any number of the values that `label` has in the series `of`."""
    return (
        QueryVariable(name)
        .label(name.replace("_", " "))
        .datasource(DATASOURCE)
        .query(f"label_values({of}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .current(VariableOption(selected=True, text="All", value="$__all"))
        .multi(True)
        .include_all(True)
    )


def dashboard() -> Dashboard:
    builder = (
        Dashboard("Flagsmith real-time updates")
        .uid("flagsmith-sse")
        .tags(["flagsmith"])
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").type("prometheus"))
        .with_variable(variable("job", "job", "flagsmith_sse_build_info"))
        .with_variable(
            variable("instance", "instance", 'flagsmith_sse_build_info{job=~"$job"}')
        )
        .with_variable(
            variable("nats_job", "job", '{__name__=~"(gnatsd|nats)_varz_connections"}')
        )
    )
    ids = count(1)
    for title, panels in ROWS.items():
        builder.with_row(Row(title).id(next(ids)))
        for panel in panels:
            builder.with_panel(panel.id(next(ids)))
    return builder


def as_json() -> str:
    return json.dumps(dashboard().build(), cls=JSONEncoder, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(as_json())
