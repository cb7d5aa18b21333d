"""Grafana's dashboard is what its source makes, and each panel can be read."""

import json

from docs.dashboard.dashboard import FILE, as_json
from tests.support.dashboard import panels

GRAFANAS = {"job": "", "instance": "", "nats_job": "", "__rate_interval": "5m"}


def test_dashboard__committed__is_what_the_source_makes() -> None:
    # If this fails: make dashboard
    assert FILE.read_text() == as_json()


def test_dashboard__every_panel__has_a_title_of_its_own_and_queries() -> None:
    # When
    shown = panels(GRAFANAS)

    # Then
    titles = [(panel.row, panel.title) for panel in shown]
    assert len(set(titles)) == len(titles)
    assert all(panel.targets for panel in shown)
    assert all(len({t.legend for t in p.targets}) == len(p.targets) for p in shown)


def test_dashboard__number_with_one_legend_that_varies__shows_it() -> None:
    # Given
    numbers = [p for p in json.loads(as_json())["panels"] if p["type"] == "stat"]

    # Then
    for panel in numbers:
        legends = [target["legendFormat"] for target in panel["targets"]]
        mode = "value_and_name" if "{{" in legends[0] else "auto"
        assert panel["options"]["textMode"] == mode, panel["title"]


def test_dashboard__every_query_of_ours__is_of_the_chosen_job_and_instances() -> None:
    # Given
    chosen = panels({**GRAFANAS, "job": "<job>", "instance": "<instance>"})

    # Then
    for panel in chosen:
        for target in panel.targets:
            count = target.expression.count("flagsmith_sse_") + target.expression.count(
                "process_"
            )
            assert target.expression.count("<job>") == count, target
            assert target.expression.count("<instance>") == count, target
