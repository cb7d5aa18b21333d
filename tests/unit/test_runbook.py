"""The runbook in the admin is that of the guides, and each finding has its entry."""

import ast
import re
from collections.abc import Iterator

from docs.runbook import TEMPLATE, template
from tests.support.service import ROOT


def runbooks() -> Iterator[tuple[str, str]]:
    """Where a finding is made, and the anchor that it names."""
    for file in sorted((ROOT / "realtime").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Finding"
            ):
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                anchor = ast.literal_eval(named.get("runbook", ast.Constant("")))
                yield f"{file.name}:{node.lineno}", anchor


def test_template__of_the_runbook__is_up_to_date() -> None:
    assert TEMPLATE.read_text() == template(), "run `python -m docs.runbook`"


def test_findings__all_of_them__have_an_entry_in_the_runbook() -> None:
    # Given
    headings = set(re.findall(r'<h2 id="([^"]+)">', TEMPLATE.read_text()))

    # When
    found = dict(runbooks())

    # Then: only that all is well needs none
    without = [where for where, anchor in found.items() if anchor not in headings]
    assert len(found) > 10
    assert [where.partition(":")[0] for where in without] == ["verdict.py"]
