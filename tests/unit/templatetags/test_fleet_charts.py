"""Charts as SVG: what is where, what is a gap, and what is said in words."""

import re
from xml.etree import ElementTree

import pytest

from realtime.templatetags.fleet_charts import KINDS, Values, bars, sparkline

UNTIL = 1_764_533_100.0
"""20:05 UTC."""


def drawing(svg: str) -> ElementTree.Element:
    """What is drawn; fails unless it is well-formed and without inline style."""
    assert "style" not in svg
    return ElementTree.fromstring(svg)  # noqa: S314  we have made it


def paths(svg: str) -> dict[str, str]:
    """By class."""
    return {p.attrib["class"]: p.attrib["d"] for p in drawing(svg).iter("path")}


def rectangles(chart: str) -> list[tuple[str, float, float, float, float]]:
    """The class, left, top, width and height of each in the chart, not its legend."""
    [svg] = [one for one in drawing(chart).iter("svg") if one.get("role") == "img"]
    return [
        (
            r.attrib["class"].removeprefix("chart-"),
            *(float(r.attrib[name]) for name in ("x", "y", "width", "height")),
        )  # type: ignore[misc]  # four numbers
        for r in svg.iter("rect")
    ]


def test_sparkline__four_values__a_line_over_an_area_from_zero() -> None:
    # When
    svg = sparkline([0, 5, 10, 5], "Subscribers in the last hour")

    # Then
    assert drawing(svg).attrib == {
        "class": "chart sparkline",
        "role": "img",
        "aria-label": "Subscribers in the last hour: between 0 and 10, now 5",
        "viewBox": "0 0 12 40",
        "preserveAspectRatio": "none",
    }
    assert paths(svg) == {
        "chart-line": "M0,38L4,20L8,2L12,20",
        "chart-area": "M0,40L0,38L4,20L8,2L12,20L12,40Z",
    }


def test_sparkline__unknown_minutes__gaps_and_a_dot_for_a_lone_value() -> None:
    # When
    svg = sparkline([10, 10, None, 5, None, None], "Subscribers")

    # Then
    assert paths(svg) == {
        "chart-line": "M0,2L4,2",
        "chart-area": "M0,40L0,2L4,2L4,40Z",
        "chart-point": "M12,20h0",
    }
    assert drawing(svg).attrib["aria-label"] == (
        "Subscribers: between 5 and 10, last known to be 5; not known in 3 of 6 minutes"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "not known"),
        ([None, None], "not known"),
        ([0, 0], "always 0"),
        ([2**63, 0], "between 0 and 9,223,372,036,854,775,808, now 0"),
    ],
)
def test_sparkline__extremes__said_and_drawn_without_fault(
    values: Values, words: str
) -> None:
    # When
    svg = sparkline(values, "Rejections")

    # Then
    assert drawing(svg).attrib["aria-label"] == f"Rejections: {words}"
    numbers = [float(n) for n in re.findall(r"[\d.]+", "".join(paths(svg).values()))]
    assert all(0 <= number <= 40 for number in numbers)


def test_sparkline__seconds__said_as_latencies_and_the_label_is_text() -> None:
    # When
    svg = sparkline([0.0042, 0.12], '"><script>', "latency")

    # Then
    label = drawing(svg).attrib["aria-label"]
    assert label == '"><script>: between 4.2 ms and 120 ms, now 120 ms'
    assert "<script>" not in svg


def test_bars__several_outcomes__stacked_with_a_legend_of_what_occurred() -> None:
    # Given
    series: dict[str, Values] = {
        **dict.fromkeys(KINDS, (0, 0, 0)),
        "stored": (1, 2, 0),
        "unauthorized": (0, 2, 0),
    }

    # When
    chart = bars(series, "Publishes", UNTIL)

    # Then: 59 high at most, for 4, on a line 1 high
    assert rectangles(chart) == [
        ("baseline", 0, 59, 12, 1),
        ("stored", 0, 44.25, 3, 14.75),
        ("stored", 4, 29.5, 3, 29.5),
        ("unauthorized", 4, 0, 3, 29.5),
    ]
    figure = drawing(chart)
    said = [one.get("aria-label") for one in figure.iter("svg") if one.get("role")]
    assert said == ["Publishes: 3 × 202 stored, 2 × 401 wrong token"]
    assert [one.text for one in figure.iter("title")] == [
        "20:02: 1 × 202 stored",
        "20:03: 2 × 202 stored, 2 × 401 wrong token",
    ]
    assert [one.text for one in figure.iter("span")] == [
        "20:02",
        "at most 4 a minute",
        "20:05 UTC",
    ]
    legend = ["".join(one.itertext()).strip() for one in figure.iter("li")]
    assert legend == ["202 stored 3", "401 wrong token 2"]


def test_bars__unknown_minutes__gaps_in_the_line_they_stand_on() -> None:
    # Given
    values: Values = (None, 0, 1, None, 0)

    # When
    chart = bars(dict.fromkeys(KINDS, values), "Publishes", UNTIL)

    # Then: a minute in which nothing was published has the line
    drawn = rectangles(chart)
    assert [one for one in drawn if one[0] == "baseline"] == [
        ("baseline", 4, 59, 8, 1),
        ("baseline", 16, 59, 4, 1),
    ]
    assert {one[1] for one in drawn if one[0] != "baseline"} == {8}
    assert "not known in 2 of 5 minutes" in chart


@pytest.mark.parametrize(("value", "said"), [(0, "none"), (None, "not known")])
def test_bars__nothing_to_show__said_so(value: int | None, said: str) -> None:
    # When
    chart = bars(dict.fromkeys(KINDS, (value,) * 60), "Publishes", UNTIL)

    # Then
    middle = [one.text for one in drawing(chart).iter("span")][1]
    assert middle == said
    assert {one[0] for one in rectangles(chart)} <= {"baseline"}
