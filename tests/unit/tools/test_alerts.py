"""Each alert says what to do, and is tried firing and not firing."""

from typing import Any

import pytest
import yaml

from tests.support.prometheus import FOLDER
from tests.support.service import ROOT

OPERATIONS = ROOT / "docs" / "operations.md"


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert__any__has_a_severity_and_links_to_its_runbook(
    alert: dict[str, Any],
) -> None:
    # Given
    name = alert["alert"]

    # Then
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    link = f"{OPERATIONS.relative_to(ROOT)}#{name.lower()}"
    assert alert["annotations"]["runbook"] == link
    assert f"\n### {name}\n" in OPERATIONS.read_text()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert__any__is_tried_firing_and_not_firing(alert: dict[str, Any]) -> None:
    # Given
    groups = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]

    # When
    fires = {
        bool(trial.get("exp_alerts"))
        for group in groups
        for trial in group["alert_rule_test"]
        if trial["alertname"] == alert["alert"]
    }

    # Then
    assert fires == {True, False}
