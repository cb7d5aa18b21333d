"""Charts of the last hour as SVG, drawn on the server: no script, no inline style. They
take the width of what they stand in; `charts.css` gives heights and colours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

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


def plain(value: float) -> str:
    """With a separator of thousands."""
    return f"{value:,.0f}"


def sparkline(
    values: Values, label: str, words: Callable[[float], str] = plain
) -> SafeString:
    """A line over a filled area from 0 to the highest of `values`, with a gap wherever
    one is not known. `label` says what it is, `words` make a value readable."""
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
    paths = (("area", area), ("line", line), ("point", dots))
    return format_html(
        '<svg class="chart sparkline" role="img" aria-label="{}" viewBox="0 0 {} {}" '
        'preserveAspectRatio="none">{}</svg>',
        f"{label}: {_in_words(values, words)}",
        max(1, len(values) - 1) * STEP,
        LINE_HEIGHT,
        format_html_join(
            "",
            '<path class="chart-{}" vector-effect="non-scaling-stroke" d="{}"/>',
            ((name, "".join(parts)) for name, parts in paths if parts),
        ),
    )


def bars(
    series: Mapping[str, Values], label: str, until: float, seconds: float = 60
) -> SafeString:
    """A stacked bar for each minute, of `seconds`, the last of which ended at `until`
    (Unix seconds); the kinds in `series` are of `KINDS`. A minute that is not known is
    a gap in the line they stand on. With the times at both ends, and a legend."""
    kinds = [kind for kind in KINDS if kind in series]
    columns = list(zip(*(series[kind] for kind in kinds), strict=True))
    # A minute is known of all kinds or of none.
    sums = [None if None in column else sum(map(_number, column)) for column in columns]
    top = max((s for s in sums if s is not None), default=0)
    totals = {kind: sum(map(_number, series[kind])) for kind in kinds}
    began = until - len(sums) * seconds
    ends = [began + (place + 1) * seconds for place in range(len(sums))]
    stacks = [
        _stack(place, kinds, column, top or 1, ends[place] - seconds)
        for place, column in enumerate(columns)
        if sums[place]
    ]
    return format_html(
        '<figure class="chart-bars"><svg class="chart bars" role="img" aria-label="{}" '
        'viewBox="0 0 {} {}" preserveAspectRatio="none">{}{}</svg>'
        '<p class="chart-axis"><span>{}</span> <span>{}</span> <span>{}</span></p>'
        '<ul class="chart-legend">{}</ul></figure>',
        f"{label}: {_totals_in_words(totals)}{_unknown(sums)}",
        max(1, len(sums)) * STEP,
        BARS_HEIGHT,
        _baseline(sums),
        mark_safe("".join(stacks)),  # noqa: S308  each is safe
        _clock(began),
        _most(sums),
        f"{_clock(until)} UTC",
        format_html_join(
            "",
            '<li><svg class="chart-key" viewBox="0 0 1 1" aria-hidden="true">'
            '<rect class="chart-{}" width="1" height="1"/></svg> {} <b>{}</b></li>',
            ((k, KINDS[k], plain(totals[k])) for k in kinds if totals[k]),
        ),
    )


def _stack(
    place: int, kinds: Sequence[str], column: Values, top: float, began: float
) -> SafeString:
    """The bar of one minute, with its numbers for who points at it."""
    usable = BARS_HEIGHT - BASELINE
    bottom = float(usable)
    parts = []
    for kind, value in zip(kinds, map(_number, column), strict=True):
        if value:
            height = usable * value / top
            bottom -= height
            parts.append((kind, place * STEP, f"{bottom:.4g}", f"{height:.4g}"))
    told = (
        f"{plain(_number(value))} × {KINDS[kind]}"
        for kind, value in zip(kinds, column, strict=True)
        if value
    )
    return format_html(
        "<g><title>{}</title>{}</g>",
        f"{_clock(began)}: {', '.join(told)}",
        format_html_join(
            "",
            f'<rect class="chart-{{}}" x="{{}}" y="{{}}" width="{BAR_WIDTH}" '
            'height="{}"/>',
            parts,
        ),
    )


def _baseline(sums: Values) -> SafeString:
    return format_html_join(
        "",
        f'<rect class="chart-baseline" x="{{}}" y="{BARS_HEIGHT - BASELINE}" '
        f'width="{{}}" height="{BASELINE}"/>',
        ((run[0] * STEP, len(run) * STEP) for run in _known(sums)),
    )


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


def _totals_in_words(totals: Mapping[str, float]) -> str:
    told = [f"{plain(totals[kind])} × {KINDS[kind]}" for kind in totals if totals[kind]]
    return ", ".join(told) or "none"


def _most(sums: Values) -> str:
    most = max((s for s in sums if s is not None), default=None)
    if most is None:
        return "not known"
    return f"at most {plain(most)} a minute" if most else "none"


def _unknown(values: Values) -> str:
    count = sum(value is None for value in values)
    return f"; not known in {count} of {len(values)} minutes" if count else ""


def _number(value: float | None) -> float:
    return value or 0


def _clock(unix: float) -> str:
    """The time of day, UTC, to the minute."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M")
