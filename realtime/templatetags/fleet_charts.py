"""Charts of the last hour as SVG, drawn on the server: no script, no inline style. They
take the width of what they stand in; `charts.css` gives heights and colours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from realtime.fleet.history.fleet_history import FleetHistory
from realtime.fleet.units import latency
from realtime.templatetags.fleet import number

register = template.Library()

Values = Sequence[float | None]
"""One for each minute, the oldest first; None: nobody knows."""

STEP: Final = 4
"""From one minute to the next, in the drawing's own units."""

LINE_HEIGHT: Final = 40
MARGIN: Final = 2
"""Above and below a line, which has a width itself."""

BARS_HEIGHT: Final = 60
BAR_WIDTH: Final = 3
BASELINE: Final = 1
"""Where nothing was counted it tells that this is known."""

KINDS: Final = {
    "stored": "202 stored",
    "kept": "202 kept until NATS is back",
    "unauthorized": "401 wrong token",
    "unavailable": "503 NATS away",
    "other": "other refusals",
}
"""What bars may stand for, from the bottom to the top, and in words."""


Bar = tuple[str, int, str, int, str]
"""Its kind, left, top, width and height, in the drawing's own units."""


@register.simple_tag
def sparkline(values: Values, label: str, kind: str = "number") -> SafeString:
    """A line over a filled area from 0 to the highest of `values`, with a gap wherever
    one is not known. `label` says what it is; `kind` is `number`, or `latency` where
    the values are seconds."""
    words = latency if kind == "latency" else number
    top = max((v for v in values if v is not None), default=0) or 1
    usable = LINE_HEIGHT - 2 * MARGIN

    def point(place: int) -> str:
        y = LINE_HEIGHT - MARGIN - usable * (values[place] or 0) / top
        return f"{place * STEP},{y:.4g}"

    line, area, dots = [], [], []
    for run in _known(values):
        first, last = run[0] * STEP, run[-1] * STEP
        if first == last:
            # A line without length, whose ends are round.
            dots.append(f"M{point(run[0])}h0")
            continue
        points = "L".join(map(point, run))
        line.append(f"M{points}")
        area.append(f"M{first},{LINE_HEIGHT}L{points}L{last},{LINE_HEIGHT}Z")
    paths = {"area": area, "line": line, "point": dots}
    return render_to_string(
        "admin/realtime/fleet/sparkline.html",
        {
            "label": f"{label}: {_in_words(values, words)}",
            "width": max(1, len(values) - 1) * STEP,
            "height": LINE_HEIGHT,
            "paths": [(name, "".join(parts)) for name, parts in paths.items() if parts],
        },
    )


@register.simple_tag
def publishes_chart(history: FleetHistory) -> SafeString:
    """Publishes per minute by their outcome, with a legend."""
    label = "Publishes per minute in the last hour"
    return bars(history.publishes, label, history.until, history.seconds)


def bars(
    series: Mapping[str, Values], label: str, until: float, seconds: float = 60
) -> SafeString:
    """A stacked bar for each minute, of `seconds`, the last of which ended at `until`
    (Unix seconds); the kinds in `series` are of `KINDS`. A minute that is not known is
    a gap in the line they stand on. With the times at both ends, and a legend."""
    kinds = [kind for kind in KINDS if kind in series]
    columns = list(zip(*(series[kind] for kind in kinds), strict=True))
    # A minute is known of all kinds or of none.
    sums = [None if None in column else _sum(column) for column in columns]
    top = max((s for s in sums if s is not None), default=0)
    totals = {kind: _sum(series[kind]) for kind in kinds}
    began = until - len(sums) * seconds
    baseline = [
        ("baseline", run[0] * STEP, BARS_HEIGHT - BASELINE, len(run) * STEP, BASELINE)
        for run in _known(sums)
    ]
    minutes = [
        (
            f"{_clock(began + place * seconds)}: {_counts_in_words(counts)}",
            _stack(place * STEP, counts, top),
        )
        for place, column in enumerate(columns)
        if (counts := {k: n for k, n in zip(kinds, column, strict=True) if n})
    ]
    return render_to_string(
        "admin/realtime/fleet/bars.html",
        {
            "label": f"{label}: {_counts_in_words(totals)}{_unknown(sums)}",
            "width": max(1, len(sums)) * STEP,
            "height": BARS_HEIGHT,
            "baseline": baseline,
            "minutes": minutes,
            "axis": (_clock(began), _most(top, sums), f"{_clock(until)} UTC"),
            "legend": [(k, KINDS[k], number(n)) for k, n in totals.items() if n],
        },
    )


def _stack(x: int, counts: Mapping[str, float], top: float) -> list[Bar]:
    """The bars of one minute, from the bottom to the top."""
    bottom = usable = float(BARS_HEIGHT - BASELINE)
    bars: list[Bar] = []
    for kind, count in counts.items():
        height = usable * count / top
        bottom -= height
        bars.append((kind, x, f"{bottom:.4g}", BAR_WIDTH, f"{height:.4g}"))
    return bars


def _known(values: Values) -> Iterator[list[int]]:
    """The places of known values, without a gap each."""
    for known, places in groupby(
        range(len(values)), lambda place: values[place] is not None
    ):
        if known:
            yield list(places)


def _in_words(values: Values, words: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "not known"
    low, high, last = words(min(known)), words(max(known)), words(known[-1])
    if low == high:
        said = f"always {low}"
    else:
        now = "now" if values[-1] is not None else "last known to be"
        said = f"between {low} and {high}, {now} {last}"
    return said + _unknown(values)


def _counts_in_words(counts: Mapping[str, float]) -> str:
    counted = [f"{number(n)} × {KINDS[kind]}" for kind, n in counts.items() if n]
    return ", ".join(counted) or "none"


def _most(top: float, sums: Values) -> str:
    if all(value is None for value in sums):
        return "not known"
    return f"at most {number(top)} a minute" if top else "none"


def _unknown(values: Values) -> str:
    count = sum(value is None for value in values)
    return f"; not known in {count} of {len(values)} minutes" if count else ""


def _sum(values: Values) -> float:
    return sum(value or 0 for value in values)


def _clock(unix: float) -> str:
    """The time of day, UTC, to the minute."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M")
