"""The dashboard's picture: `make picture` writes docs/images/dashboard.png anew.

Every panel of docker/grafana/dashboards/realtime.json, in its place, as Prometheus
answers it about `docs.dashboard.scenario`.
"""

import math
import tempfile
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from docs.dashboard.scenario import Scenario, record
from tests.support.dashboard import Panel, panels, series_name
from tests.support.prometheus import SCRAPE_SECONDS
from tests.support.service import ROOT

FILE: Final = ROOT / "docs" / "images" / "dashboard.png"
VARIABLES: Final = {
    "job": "flagsmith-sse",
    "instance": ".*",
    "nats_job": "nats",
    "__rate_interval": "4s",
}
TITLE: Final = "Flagsmith real-time updates"
NOTE: Final = (
    "Drawn by docs/dashboard/picture.py from what a real Prometheus read every second, "
    "without Grafana.\nNATS's own metrics come through a stand-in for "
    "prometheus-nats-exporter. Time is in seconds."
)
WIDTH: Final = 24
"""Units of Grafana's grid."""

HEADER: Final = 5
"""Units above it, for the title and what happened."""

INCHES: Final = (0.72, 0.36)
"""A unit's width and height."""

LEFT, TOP, RIGHT, BOTTOM = 1.0, 1.1, 0.3, 0.7
"""Units of a panel that are left free around its lines."""

LEGEND: Final = 1.1
"""And below that, for the names of the lines."""

SCALES: Final[dict[str, list[tuple[float, str]]]] = {
    "bytes": [(2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")],
    "s": [(1, " s"), (0.001, " ms")],
    "percentunit": [(0.01, " %")],
    "cps": [(1000, " k/s"), (1, " /s")],
    "short": [(1000, " k"), (1, "")],
}
"""For each of Grafana's units, in what it is written from which value on."""

Lines = dict[str, list[float]]
"""The values of each series; not a number where there was none."""


def draw(scenario: Scenario) -> None:
    """Draw all panels into `FILE`."""
    shown = panels(VARIABLES)
    height = HEADER + max(panel.place[1] + panel.place[3] for panel in shown)
    figure = Figure(figsize=(WIDTH * INCHES[0], height * INCHES[1]), facecolor="white")
    left = LEFT / 2 / WIDTH
    figure.text(left, 1 - 1.5 / height, TITLE, size=18, weight="bold")
    figure.text(left, 1 - 3.5 / height, NOTE, size=9, color="dimgray")
    figure.text(0.67, 1 - 0.5 / height, _key(scenario), size=9, va="top")
    row = ""
    for panel in shown:
        x, top, width, panel_height = panel.place
        y = height - HEADER - top - panel_height
        if panel.row != row:
            row = panel.row
            place = left, (y + panel_height + 0.2) / height
            figure.text(*place, row, size=13, weight="bold", color="tab:blue")
        bottom = BOTTOM + (0 if panel.is_number else LEGEND)
        axes = figure.add_axes(
            (
                (x + LEFT) / WIDTH,
                (y + bottom) / height,
                (width - LEFT - RIGHT) / WIDTH,
                (panel_height - TOP - bottom) / height,
            )
        )
        _draw_panel(axes, panel, scenario)
    FILE.parent.mkdir(exist_ok=True)
    figure.savefig(FILE, dpi=90)


def _key(scenario: Scenario) -> str:
    return "\n".join(
        f"{number}   {second:.0f} s   {what}"
        for number, (what, second) in enumerate(scenario.happened.items(), 1)
    )


def _draw_panel(axes: Axes, panel: Panel, scenario: Scenario) -> None:
    lines = _lines(panel, scenario)
    largest = max((v for line in lines.values() for v in line if v == v), default=0)
    divisor, suffix = _scale(panel.unit, largest)
    scaled = {name: [v / divisor for v in line] for name, line in lines.items()}
    times = [step * SCRAPE_SECONDS for step in range(_steps(scenario))]
    if panel.stacked:
        filled = [[v if v == v else 0 for v in line] for line in scaled.values()]
        axes.stackplot(times, filled, labels=list(scaled), alpha=0.6)
    else:
        for name, line in scaled.items():
            axes.plot(times, line, label=name, linewidth=1.2)
    for number, second in enumerate(scenario.happened.values(), 1):
        axes.axvline(second, color="silver", linewidth=0.6, zorder=0)
        axes.text(second, 1, str(number), transform=axes.get_xaxis_transform(), size=6)
    title = panel.title
    if panel.is_number:
        title += ": " + ", ".join(_last(panel.unit, line) for line in lines.values())
    axes.set_title(title, size=10, loc="left", weight="bold", pad=9)
    axes.set_xlim(0, times[-1])
    axes.set_ylim(0, axes.get_ylim()[1] if largest else 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}{suffix}"))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    if any(lines):
        below = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.08)}
        inside = {"loc": "center left"}
        place = inside if panel.is_number else below
        axes.legend(fontsize=7, ncols=5, frameon=False, columnspacing=1.2, **place)


def _steps(scenario: Scenario) -> int:
    return int((scenario.end - scenario.start) / SCRAPE_SECONDS) + 1


def _lines(panel: Panel, scenario: Scenario) -> Lines:
    lines: Lines = {}
    for target in panel.targets:
        for series in scenario.prometheus.query_range(
            target.expression, scenario.start, scenario.end
        ):
            line = [math.nan] * _steps(scenario)
            for time, value in series.values.items():
                line[round((time - scenario.start) / SCRAPE_SECONDS)] = value
            name = series_name(target.legend, series.labels)
            if name in lines:
                raise ValueError(f"{panel.title} has two lines called {name!r}")
            lines[name] = line
    return lines


def _last(unit: str, line: list[float]) -> str:
    value = next(value for value in reversed(line) if not math.isnan(value))
    divisor, suffix = _scale(unit, value)
    return f"{value / divisor:.3g}{suffix}"


def _scale(unit: str, value: float) -> tuple[float, str]:
    scales = SCALES[unit]
    return next((scale for scale in scales if value >= scale[0]), scales[-1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), draw)
