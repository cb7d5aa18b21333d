"""Grafana's dashboard as Prometheus sees it: what each panel asks."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.service import ROOT

FILE = ROOT / "docker" / "grafana" / "dashboards" / "realtime.json"


@dataclass(frozen=True)
class Target:
    """A query; `legend` is the template of its series' names."""

    legend: str
    expression: str


@dataclass(frozen=True)
class Panel:
    """`place` is left, top, width and height on Grafana's grid, `unit` Grafana's name
    of it."""

    row: str
    title: str
    place: tuple[int, int, int, int]
    unit: str
    is_number: bool
    stacked: bool
    targets: tuple[Target, ...]


def panels(variables: Mapping[str, str]) -> list[Panel]:
    """In the order in which they are shown, with `variables` in the place of Grafana's.
    Raises `KeyError` if one is not among them."""
    found = []
    row = ""
    for panel in _dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
            continue
        place = panel["gridPos"]
        defaults = panel["fieldConfig"]["defaults"]
        stacking = defaults.get("custom", {}).get("stacking", {})
        found.append(
            Panel(
                row,
                panel["title"],
                (place["x"], place["y"], place["w"], place["h"]),
                defaults["unit"],
                panel["type"] == "stat",
                stacking.get("mode") == "normal",
                tuple(
                    Target(t["legendFormat"], substituted(t["expr"], variables))
                    for t in panel["targets"]
                ),
            )
        )
    return found


def variable_queries(variables: Mapping[str, str]) -> dict[str, str]:
    """For each variable that is chosen from the values of a label, PromQL that has a
    series for each of them."""
    queries = {}
    for variable in _dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert found, variable
            series, label = found.groups()
            query = substituted(f"group by ({label}) ({series})", variables)
            queries[variable["name"]] = query
    return queries


def series_name(legend: str, labels: Mapping[str, str]) -> str:
    """What a series with these labels is called under a target with this legend."""
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend)


def substituted(expression: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: variables[match[1]], expression)


def _dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(FILE.read_text())
    return dashboard
