"""The runbook in the admin is that of the guides, and each finding has its entry."""

import ast
import re
from collections.abc import Iterator

from docs.runbook import TEMPLATE, template
from realtime.fleet.verdict.finding import Finding
from tests.support.service import ROOT


def runbooks() -> Iterator[tuple[str, set[str]]]:
    """Where a finding is made, and the anchors that it may name."""
    for file in sorted((ROOT / "realtime").rglob("*.py")):
        tree = ast.parse(file.read_text())
        assigned: dict[str, set[str]] = {}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    assigned[target.id] = texts(node)
        for call in ast.walk(tree):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id == "Finding"
            ):
                given = dict(zip(Finding.__struct_fields__, call.args, strict=False))
                given |= {one.arg: one.value for one in call.keywords if one.arg}
                found: set[str] = set()
                if named := given.get("runbook"):
                    names = [n.id for n in ast.walk(named) if isinstance(n, ast.Name)]
                    found = texts(named).union(*(assigned.get(n, ()) for n in names))
                yield f"{file.name}:{call.lineno}", found


def texts(node: ast.AST | None) -> set[str]:
    """All that it holds."""
    constants = (one for one in ast.walk(node or ast.Pass()))
    return {
        one.value
        for one in constants
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def test_template__of_the_runbook__is_up_to_date() -> None:
    assert TEMPLATE.read_text() == template(), "run `python -m docs.runbook`"


def test_findings__all_of_them__have_an_entry_in_the_runbook() -> None:
    # Given
    headings = set(re.findall(r'<h2 id="([^"]+)">', TEMPLATE.read_text()))

    # When
    found = dict(runbooks())

    # Then: only that all is well needs none
    without = [where for where, named in found.items() if not named]
    assert len(found) > 10
    assert [where.partition(":")[0] for where in without] == ["verdict.py"]
    assert set().union(*found.values()) <= headings
